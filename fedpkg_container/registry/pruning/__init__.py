"""Taking out of the candidate registry what nobody needs.

``inventory`` is what a repository holds, ``needs`` who needs something of it, ``judgement`` what stays, and why,
``deletion`` the order in which the rest goes, ``pruner`` all of it together.
"""
