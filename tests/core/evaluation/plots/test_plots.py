"""Pictures: what they show, that names stay apart, and that they read in black and white."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.transforms import Bbox

from avengers_core import Router, evaluate, fit, studies
from avengers_core.evaluation.plots import labels, plots
from avengers_core.evaluation.plots.labels import shortened
from avengers_core.evaluation.plots.saving import to_svg
from avengers_core.evaluation.plots.studies import study_results


@pytest.fixture(scope="module")
def router(make_records, embedder):
    models = tuple(f"provider/a-rather-long-model-name-{i}" for i in range(12))
    return Router(fit(make_records(150, models=models), embedder, n_clusters=6), embedder)


@pytest.fixture(scope="module")
def report(router, make_records):
    return evaluate(router, make_records(80, seed=4, models=router.models))


def texts(figure):
    """The texts written beside points."""
    return [t for t in figure.axes[0].texts if t.get_text()]


def boxes(figure):
    figure.draw_without_rendering()
    return [t.get_window_extent() for t in texts(figure)]


def overlapping(some):
    return [(i, j) for i in range(len(some)) for j in range(i) if some[i].overlaps(some[j])]


def test_all_are_written_as_png_and_svg(report, router, tmp_path):
    folder = tmp_path / "new" / "folder"
    written = plots.save_all(report, folder, artifact=router.artifact)
    assert sorted(folder.iterdir()) == sorted(written)
    names = ("cluster_map", "over_alpha", "selection_shares", "tradeoff")
    assert sorted(p.name for p in written) == [f"{n}.{e}" for n in names for e in ("png", "svg")]
    for path in written:
        if path.suffix == ".png":
            pixels = imread(path)[..., :3]
            assert pixels.shape[0] > 500
            assert 0.005 < (pixels.min(axis=2) < 0.9).mean() < 0.9
        else:
            assert len(path.read_bytes()) < 150_000
            assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_a_notebook_shows_a_picture(report):
    figure = plots.tradeoff(report)
    assert figure._repr_svg_() == to_svg(figure)


def test_svg_is_the_same_each_time(report):
    one, other = (to_svg(plots.tradeoff(report)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], []),
        (["a/b", "b"], ["a/b", "b"]),
        (["provider/" + "x" * 30, "b"], ["x" * 30, "b"]),
        (["p/" + "x" * 40, "q/" + "x" * 40], [f"{p}/{'x' * 19}…{'x' * 10}" for p in "pq"]),
        (["x" * 40, "b"], ["x" * 21 + "…" + "x" * 10, "b"]),
        (
            [f"{'x' * 22}{i}{'y' * 30}" for i in "12"],
            [f"{'x' * 22}{i}{'y' * 3}…{'y' * 13}" for i in "12"],
        ),
        ([f"{'x' * 60}{i}{'y' * 60}" for i in "12"], [f"{'x' * 60}{i}{'y' * 60}" for i in "12"]),
    ],
)
def test_long_names_are_as_short_as_they_can_be_told_apart(names, short):
    assert shortened(names) == short


def test_one_model_has_a_picture(make_records, embedder, recwarn):
    one = Router(fit(make_records(40, models=("only",)), embedder, n_clusters=2), embedder)
    report = evaluate(one, make_records(30, seed=1, models=("only",)))
    low, high = plots.tradeoff(report).axes[0].get_xlim()
    assert low < report.curve.cost[0] < high
    assert report.pareto_dist == pytest.approx(0, abs=1e-9)
    flat = [{**r, "usages": {"only": {"cost": 0.1}}} for r in make_records(10, models=("only",))]
    low, high = plots.tradeoff(evaluate(one, flat)).axes[0].get_xlim()
    assert low < 0.1 < high
    assert not [w for w in recwarn if "xlims" in str(w.message)]


def test_tradeoff_names_every_model_and_no_name_hides_another(report):
    figure = plots.tradeoff(report)
    assert sorted(t.get_text() for t in texts(figure)) == sorted(shortened(report.curve.models))
    assert overlapping(boxes(figure)) == []
    frame = figure.axes[0].get_window_extent()
    for box in boxes(figure):
        assert frame.x0 - 1 <= box.x0 <= box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 <= box.y1 <= frame.y1 + 1


@pytest.mark.parametrize("place", [(0.9, 0.1), (-0.9, 0.1), (0.9, -0.1), (-0.9, -0.1)])
def test_a_name_does_not_hide_a_mark_without_one(place):
    figure, ax = plots.new_figure(6, 4)
    ax.set(xlim=(-5, 5), ylim=(-2, 2))
    point = np.zeros(1)
    labels.label_points(ax, point, point, ["a name"], nameless=np.array([place]))
    (box,) = boxes(figure)
    x, y = ax.transData.transform(place)
    space = 6 * figure.dpi / 72
    assert not box.overlaps(Bbox([[x - space, y - space], [x + space, y + space]]))


def test_tradeoff_shows_the_best_that_can_be_reached(report):
    axes = plots.tradeoff(report).axes[0]
    line = next(n for n in axes.get_lines() if str(n.get_label()).startswith("router"))
    cost, score = line.get_data()
    assert (np.diff(cost) > 0).all()
    assert (np.diff(score) > 0).all()
    assert score.max() == report.curve.score.max()
    assert axes.get_xscale() == "log"
    assert "mean over datasets" in axes.get_ylabel()


def test_models_that_share_a_point_keep_their_names(toy_router, toy_rows):
    same = [{**r, "records": {"a": 1, "b": 1}, "usages": {}} for r in toy_rows]
    same = [{**r, "usages": {m: {"cost": 0.0} for m in "ab"}} for r in same]
    figure = plots.tradeoff(evaluate(toy_router, same))
    assert figure.axes[0].get_xscale() == "linear"
    assert sorted(t.get_text() for t in texts(figure)) == ["a", "b"]
    assert overlapping(boxes(figure)) == []


def test_without_costs_there_are_pictures_all_the_same(toy_router, toy_rows, tmp_path):
    report = evaluate(toy_router, [{**r, "usages": {}} for r in toy_rows])
    assert len(plots.save_all(report, tmp_path, ("svg",))) == 3
    top, bottom = plots.over_alpha(report).axes
    for empty in (plots.tradeoff(report).axes[0], bottom):
        assert any("No cost is known" in text.get_text() for text in empty.texts)
        assert not len(empty.get_yticks())
    assert len(bottom.get_xticks()) > 2
    assert len(top.get_yticks()) > 2


def written_amounts(figure, axis):
    """The texts beside an axis, and the room that each takes."""
    figure.draw_without_rendering()
    labels = [label for label in axis.get_ticklabels() if label.get_text()]
    return [label.get_text() for label in labels], [label.get_window_extent() for label in labels]


@pytest.mark.parametrize(
    "costs",
    [(1e-6, 1e-3, 1), (1e-9, 1, 1e12), (1, 1.05, 1.1)],
)
def test_amounts_are_written_apart_however_far_the_costs_are(make_records, embedder, costs):
    def priced(rows):
        usages = {m: {"cost": c} for m, c in zip(("good", "cheap", "odd"), costs, strict=True)}
        return [{**r, "usages": usages} for r in rows]

    router = Router(fit(priced(make_records(60)), embedder, n_clusters=3), embedder)
    figure = plots.tradeoff(evaluate(router, priced(make_records(40, seed=2))))
    amounts, rooms = written_amounts(figure, figure.axes[0].xaxis)
    assert 3 <= len(amounts) <= 7
    assert overlapping(rooms) == []


def test_no_amount_is_below_nothing(toy_router, toy_rows):
    free = [{**r, "usages": {m: {"cost": 0.0} for m in "ab"}} for r in toy_rows]
    report = evaluate(toy_router, free)
    drawn = plots.tradeoff(report), plots.over_alpha(report)
    for figure, axis in zip(drawn, (drawn[0].axes[0].xaxis, drawn[1].axes[1].yaxis), strict=True):
        assert written_amounts(figure, axis)[0] == ["$0"]


def test_models_without_a_known_cost_are_named(make_records, embedder):
    models = ("priced", *(f"provider/without-a-price-{i}" for i in range(9)))

    def priced(rows):
        return [{**r, "usages": {"priced": r["usages"]["priced"]}} for r in rows]

    router = Router(fit(priced(make_records(60, models=models)), embedder, n_clusters=2), embedder)
    figure = plots.tradeoff(evaluate(router, priced(make_records(30, models=models))))
    below = " ".join(figure.axes[0].get_xlabel().split())
    assert "not drawn, for no cost is known: provider/without-a-price-0" in below
    assert below.endswith("provider/without-a-price-5 and 3 more")
    figure.draw_without_rendering()
    label = figure.axes[0].xaxis.label.get_window_extent()
    assert 0 <= label.x0 < label.x1 <= figure.bbox.x1


def test_a_router_of_one_point_is_seen(make_records, embedder):
    one = Router(fit(make_records(40, models=("only",)), embedder, n_clusters=2), embedder)
    axes = plots.tradeoff(evaluate(one, make_records(30, models=("only",)))).axes[0]
    line = next(n for n in axes.get_lines() if str(n.get_label()).startswith("router"))
    assert len(line.get_xdata()) == 1
    assert line.get_marker() == "D"
    assert line.get_markevery() == [-1]


def test_over_alpha_draws_the_whole_curve(report):
    top, bottom = plots.over_alpha(report).axes
    for axes, values in ((top, report.curve.score), (bottom, report.curve.cost)):
        (stairs,) = axes.patches
        np.testing.assert_array_equal(stairs.get_data().values, values)
        assert (
            shortened(report.curve.models)[report.curve.models.index(report.best_single.name)]
            in axes.texts[0].get_text()
        )
    assert bottom.get_xlim() == (0, 1)


def layers(figure):
    return figure.axes[0].collections


def test_shares_fill_the_picture_and_the_smallest_are_summed_up(report):
    figure = plots.selection_shares(report)
    used = (report.curve.path.shares(12).max(axis=0) > 0).sum()
    assert len(layers(figure)) == min(used, 9)
    named = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    if used > 9:
        assert f"{used - 8} others" in named
    top = layers(figure)[-1].get_paths()[0].vertices
    assert top[:, 1].max() == pytest.approx(1)


def test_layers_are_told_apart_in_black_and_white(report):
    shown = layers(plots.selection_shares(report))
    shades = [np.mean(to_rgb(layer.get_facecolor()[0])) for layer in shown]
    assert all(len(set(to_rgb(layer.get_facecolor()[0]))) == 1 for layer in shown)
    assert (np.diff(shades) < -0.05).all()
    hatches = [layer.get_hatch() for layer in shown]
    assert len(set(hatches)) == len(hatches)


def test_the_legend_stands_as_the_layers_lie(report):
    figure = plots.selection_shares(report)
    named = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert named == [layer.get_label() for layer in layers(figure)][::-1]


def test_thousands_of_steps_are_thinned_out(report, monkeypatch):
    whole = plots.selection_shares(report)
    monkeypatch.setattr(plots, "_MOST_STEPS", 10)
    thin = plots.selection_shares(report)
    assert len(layers(thin)[0].get_paths()[0].vertices) < 60
    assert len(layers(whole)[0].get_paths()[0].vertices) > 60


def test_cluster_map_has_a_circle_for_each_cluster_and_readable_topics(router):
    figure = plots.cluster_map(router.artifact)
    (circles,) = figure.axes[0].collections
    assert len(circles.get_offsets()) == 6
    area = circles.get_sizes()
    assert np.argmax(area) == np.argmax(router.artifact.statistics.size)
    assert {t.get_text() for t in texts(figure)} <= {"greek", "other"}
    assert texts(figure)
    assert overlapping(boxes(figure)) == []


def test_cluster_map_of_few_clusters(make_records, embedder):
    artifact = fit(make_records(20), embedder, n_clusters=2)
    (circles,) = plots.cluster_map(artifact).axes[0].collections
    assert len(circles.get_offsets()) == 2


def test_dollar_signs_are_no_formula(make_records, embedder, tmp_path):
    models = ("$x_1$ and $", r"$\broken$")
    rows = [{**r, "dataset": r"$\nothing$"} for r in make_records(models=models)]
    artifact = fit(rows, embedder, n_clusters=5)
    report = evaluate(Router(artifact, embedder), rows)
    assert len(plots.save_all(report, tmp_path, ("svg",), artifact=artifact)) == 4


def test_a_study_has_a_panel_for_each_metric():
    rows = [
        {"value": k, **dict.fromkeys(studies.METRICS, 0.1 * k)} for k in (1, 1, 2, 2) for _ in "ab"
    ]
    figure = study_results(studies.summarise(rows), "clusters")
    assert [a.get_title() for a in figure.axes] == ["PerfGain", "CostSave at 95 %", "AIQ"]
    assert all(a.get_xlabel() == "clusters" for a in figure.axes)
    assert all(a.lines[0].get_linestyle() == "-" for a in figure.axes)
    named = [{**row, "value": f"set {row['value']}"} for row in rows]
    figure = study_results(studies.summarise(named), "leave-one-out")
    assert all(a.lines[0].get_linestyle() == "None" for a in figure.axes)
