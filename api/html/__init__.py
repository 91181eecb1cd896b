"""What all pages are made with: templates, styles, scripts, addresses, and the page of an error."""
