from torch import Tensor
from typing_extensions import NotRequired, get_type_hints

from datamodules.batch import FaceBatch, FaceInputBatch, FlowBatch, PosedFlowBatch, SequenceBatch


def test_a_posed_batch_is_a_flow_batch_and_some_of_it_is_for_tests_only() -> None:
    frontal = get_type_hints(FlowBatch)
    posed = get_type_hints(PosedFlowBatch, include_extras=True)
    assert set(frontal) == {"flow", "label", "subject", "sample_id", "subsets"}
    assert set(posed) - set(frontal) == {
        "posed_flow",
        "neutral",
        "apex",
        "is_neutral_apex",
        "registered_flow",
        "feature_registered_flow",
        "posed_apex",
    }
    for name in ("registered_flow", "feature_registered_flow", "posed_apex", "subsets"):
        assert posed.pop(name) == NotRequired[Tensor]
    assert set(posed.values()) == {Tensor}


def test_sequences_have_names_and_no_labels() -> None:
    assert get_type_hints(SequenceBatch)["sequence"] == list[str]
    assert "label" not in get_type_hints(SequenceBatch)


def test_faces_have_what_their_data_set_has() -> None:
    faces = get_type_hints(FaceBatch, include_extras=True)
    optional = {name for name, kind in faces.items() if kind == NotRequired[Tensor]}
    assert optional == {"votes", "action_units", "subsets"}
    assert set(faces) - optional == {"image", "label", "sample_id"}
    found = get_type_hints(FaceInputBatch)
    answers = {"source", "frame", "seconds", "track", "box"}
    assert set(found) == {"image", "sample_id", *answers}
    assert found["source"] == list[str]
