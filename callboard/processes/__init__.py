"""The processes of a deployment: api, dispatcher, worker, and the supervisor that keeps them."""
