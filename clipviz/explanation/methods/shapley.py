"""Kernel SHAP over patches."""
