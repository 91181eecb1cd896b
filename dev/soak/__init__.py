"""`./longshore soak`: many uploads through a stack whose processes are killed and frozen meanwhile.

What was acknowledged is written into a ledger outside the services. In the end each entry has to be
stored with the right bytes, replaced by a stored one, removed on request, or visibly rejected or
failed with its bytes kept; and nothing may be left over on the volume or in the bucket.
"""
