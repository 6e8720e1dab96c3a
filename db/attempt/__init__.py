"""What a running attempt stores: progress and checkpoints."""
