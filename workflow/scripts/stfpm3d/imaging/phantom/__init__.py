"""The demo cohort: synthetic T2-weighted scans rendered from the MNI head and tissue maps.

`cohort` says who is in it, `anatomy` how people vary, `lesion` how a tumour grows and pushes, `render` how a scanner
sees both; `fields` holds what they are made of.
"""
