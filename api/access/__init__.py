"""Who may: tokens of forms, service keys, internal secrets, and the cookie of our own pages."""
