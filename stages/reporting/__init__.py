"""Reporting: pictures, tables and pages, made from what the stages wrote."""
