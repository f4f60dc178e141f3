"""Drawing of arrays, tables and text; no result type is known here.

Every function returns a matplotlib Figure, or pixels, and shows nothing: pyplot, its list of open figures and the
global settings stay untouched, so that threads, notebooks and servers can draw at once.
"""

from clipviz.plots.bar_chart import bars
from clipviz.plots.blending import rgba
from clipviz.plots.boxes import boxed
from clipviz.plots.canvas import Canvas, png
from clipviz.plots.cost_chart import against_cost
from clipviz.plots.curves import lines
from clipviz.plots.forest import intervals
from clipviz.plots.heat_cells import MOST as MOST_CELLS
from clipviz.plots.heat_cells import heat_table
from clipviz.plots.picture import UNIT, overlay
from clipviz.plots.point_map import MOST as MOST_POINTS
from clipviz.plots.point_map import scatter
from clipviz.plots.precision_curve import precision_recall
from clipviz.plots.reliability import reliability_diagram
from clipviz.plots.scale import Scale, scale_of, shared_scale
from clipviz.plots.sheet import grid
from clipviz.plots.wording_spread import compared, spread_chart

__all__ = [
    "MOST_CELLS",
    "MOST_POINTS",
    "UNIT",
    "Canvas",
    "Scale",
    "against_cost",
    "bars",
    "boxed",
    "compared",
    "grid",
    "heat_table",
    "intervals",
    "lines",
    "overlay",
    "png",
    "precision_recall",
    "reliability_diagram",
    "rgba",
    "scale_of",
    "scatter",
    "shared_scale",
    "spread_chart",
]
