"""Alignment, bones and regions on the fluid grid."""
