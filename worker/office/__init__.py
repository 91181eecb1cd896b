"""LibreOffice, which makes PDFs of office documents: one process a document, confined.

Imports nothing: the process that is to become LibreOffice starts here, without our libraries.
"""
