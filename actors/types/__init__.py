"""Job types: how a handler is declared, registered and called. Needs neither broker nor database."""
