"""One module per subject: handlers, and `ROUTES` at its end. What they read is in a `.sql` file of the same name."""
