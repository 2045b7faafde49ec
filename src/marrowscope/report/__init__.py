"""Renderers of an Assessment: HTML, PDF, tables, figures, impression, leaflet."""
