"""The ways to ask where a text is, one file a family; importing a file registers what is in it."""

from . import attention as attention
from . import bridge as bridge
from . import class_activation as class_activation
from . import consensus as consensus
from . import decomposition as decomposition
from . import dense as dense
from . import gradients as gradients
from . import inputs as inputs
from . import legrad as legrad
from . import paths as paths
from . import perturbation as perturbation
from . import relevance as relevance
from . import rise as rise
from . import scorecam as scorecam
from . import shapley as shapley
