"""ROC curves and reliability diagrams."""

import numpy as np
import pandas as pd
import pytest

from tasks.figures import registry
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def test_roc_curves_show_seeds_and_labeled_mean(frames):
    figure = registry.plot_figures(frames, ["roc_curves"])["roc_curves"]
    areas = frames["scores"].query("split == 'test' and metric == 'auc'").groupby("architecture")["value"].mean()
    for axes in figure.axes:
        named = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert len(named) == 8
        assert len(axes.lines) == 8 + (5 * 3 + 3) + 1
        assert named[1].get_label() == f"LSTM, AUC {100 * areas['lstm']:.1f}%"
    assert figure.axes[1].get_xlim() == (0, 30)


def test_perfect_ranking_passes_through_the_corner(frames):
    perfect = frames["predictions"].assign(probability=lambda frame: 0.2 + 0.6 * frame["label"])
    axes = registry.plot_figures({"predictions": perfect, "scores": frames["scores"]})["roc_curves"].axes[0]
    mean = next(line for line in axes.lines if line.get_label().startswith("LSTM"))
    assert mean.get_ydata() == pytest.approx(np.full(len(mean.get_ydata()), 100.0))


def make_bins(*trials):
    """Make three bins of each (architecture, seed); the second seed says more than is true."""
    made = pd.DataFrame({"bin": [1, 2, 3], "predicted": [0.1, 0.5, 0.9], "observed": [0.2, 0.5, 0.8]})
    made = made.assign(low=made["observed"] - 0.1, high=made["observed"] + 0.1, reviews=50)
    return pd.concat([made.assign(architecture=name, seed=seed) for name, seed in trials], ignore_index=True)


def test_reliability_has_panel_per_architecture_and_line_per_seed():
    rows = make_bins(("lstm", 3), ("lstm", 4), ("nb_svm", 0), ("majority", 0)).sample(frac=1, random_state=1)
    figure = registry.plot_figures({"reliability": rows})["reliability_diagram"]
    assert [axes.get_title() for axes in figure.axes] == ["LSTM", "NB-SVM"]
    diagonal, *seeds = figure.axes[0].lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert len(seeds) == 2
    assert len(figure.axes[1].lines) == 2
    for line in seeds:
        assert line.get_xdata() == pytest.approx([10, 50, 90])
        assert line.get_ydata() == pytest.approx([20, 50, 80])


def test_band_is_interval_of_first_seed():
    rows = make_bins(("lstm", 3), ("lstm", 4))
    rows.loc[rows["seed"] == 4, ["low", "high"]] = [0, 1]
    (band,) = registry.plot_figures({"reliability": rows})["reliability_diagram"].axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((10, 90))


def test_reliability_shows_observed_shares(frames):
    figure = registry.plot_figures(frames, ["reliability_diagram"])["reliability_diagram"]
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 7
    own = frames["reliability"].query("architecture == 'lstm' and seed == 2")
    assert len(own) > 3
    assert shown[1].lines[3].get_ydata() == pytest.approx(100 * own["observed"].to_numpy())
