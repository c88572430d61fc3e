"""The losses, the outputs and the measures of eMotion-GAN; its steps are tested apart."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from datamodules.errors import UserError
from lightning_modules.networks.head_motion import fit_frontal_flow
from lightning_modules.networks.warp import warp
from losses import charbonnier_loss, endpoint_error, generator_loss, perceptual_loss
from tests.lightning_modules.fakes import SIZE, FakeDataModule, fake_batch


def flow_generator_losses(module, batch):
    posed, frontal = (module.codec.encode(batch[key]) for key in ("posed_flow", "flow"))
    frontalized = module.g_f(posed)
    return frontalized, module._flow_generator_losses(batch, posed, frontal, frontalized)


@pytest.mark.parametrize("representation", ["polar", "cartesian"])
def test_the_loss_of_the_flow_generator_is_equation_5(model, representation):
    module, batch = model(representation=representation, connection_epoch=0), fake_batch()
    frontalized, losses = flow_generator_losses(module, batch)
    # Ten pixels of a 128x128 grid are the unit.
    unit = 10 * SIZE / 128
    vectors = (
        module.codec.decode(frontalized) / unit,
        module.codec.unit_vectors(module.codec.encode(batch["flow"])),
    )
    module.d_e.eval()
    module.e_fer.eval()
    expected = {
        "g_f_adversarial": generator_loss(module.d_p(frontalized, frontalized)),
        "g_f_expression": functional.cross_entropy(module.d_e(frontalized), batch["label"]),
        "epe_px": 10 * endpoint_error(*vectors),
        "charbonnier": charbonnier_loss(*vectors),
        "g_f_image": module._image_generator_losses(batch, frontalized)["g_w"],
    }
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    gan = (expected["g_f_adversarial"] + expected["g_f_expression"]) / 2
    total = gan + 7 * expected["epe_px"] / 10 + 3 * expected["charbonnier"] + expected["g_f_image"]
    torch.testing.assert_close(losses["g_f"], total)


def test_the_loss_of_the_image_generator_is_equation_2(model):
    module, batch = model(), fake_batch()
    flow = module.codec.encode(batch["flow"])
    losses = module._image_generator_losses(batch, flow)
    module.e_fer.eval()
    face, apex = module.g_w(batch["neutral"], flow), batch["apex"]
    expected = {
        "g_w_l1": (face - apex).abs().mean(),
        "g_w_perceptual": perceptual_loss(face, apex, module.e_fer.features),
        "g_w_expression": functional.cross_entropy(module.e_fer(face), batch["label"]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    total = 2 * losses["g_w_l1"] + 7 * losses["g_w_perceptual"] + losses["g_w_expression"]
    torch.testing.assert_close(losses["g_w"], total)


def test_faces_are_learned_from_neutral_apex_pairs_only(model):
    module, batch = model(), fake_batch(4)
    batch["is_neutral_apex"] = torch.tensor([False, True, False, True])
    flow = module.codec.encode(batch["flow"])
    chosen = {key: batch[key][1::2] for key in ("neutral", "apex", "label", "is_neutral_apex")}
    got = module._image_generator_losses(batch, flow)
    expected = module._image_generator_losses(chosen, flow[1::2])
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value)


def test_a_batch_without_neutral_apex_pairs_teaches_no_face(model):
    module, batch = model(connection_epoch=0), fake_batch()
    batch["is_neutral_apex"] = torch.zeros(3, dtype=torch.bool)
    losses = module._image_generator_losses(batch, module.codec.encode(batch["flow"]))
    losses["g_w"].backward()
    assert losses["g_w"] == 0
    assert all(not parameter.grad.any() for parameter in module.g_w.parameters())


@pytest.mark.parametrize(
    ("switch", "absent"),
    [
        ({"lambda_gan": 0.0}, {"g_f_adversarial", "g_f_expression"}),
        ({"expression_feedback": False}, {"g_f_expression"}),
        ({"lambda_epe": 0.0}, {"epe_px"}),
        ({"lambda_charbonnier": 0.0}, {"charbonnier"}),
        ({"lambda_image": 0.0}, {"g_f_image"}),
        ({"connection_epoch": 1}, {"g_f_image"}),
    ],
)
def test_a_switched_off_term_of_the_flow_generator_is_not_computed(model, switch, absent):
    terms = {"g_f", "g_f_adversarial", "g_f_expression", "epe_px", "charbonnier", "g_f_image"}
    _, losses = flow_generator_losses(model(**{"connection_epoch": 0, **switch}), fake_batch())
    assert set(losses) == terms - absent
    assert losses["g_f"].requires_grad


@pytest.mark.parametrize(
    ("switch", "absent"),
    [
        ({"alpha_perceptual": 0.0}, {"g_w_perceptual"}),
        ({"alpha_expression": 0.0}, {"g_w_expression"}),
    ],
)
def test_a_switched_off_term_of_the_image_generator_is_not_computed(model, switch, absent):
    module, batch = model(**switch), fake_batch()
    losses = module._image_generator_losses(batch, module.codec.encode(batch["flow"]))
    assert set(losses) == {"g_w", "g_w_l1", "g_w_perceptual", "g_w_expression"} - absent


@pytest.mark.parametrize("image_prior", ["none", "warp"])
@pytest.mark.parametrize("representation", ["polar", "cartesian"])
def test_the_image_loss_reaches_the_flow_generator_once_connected(
    model, representation, image_prior
):
    module = model(representation=representation, image_prior=image_prior, connection_epoch=0)
    _, losses = flow_generator_losses(module, fake_batch())
    gradients = torch.autograd.grad(losses["g_f_image"], list(module.g_f.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 0


def test_a_still_flow_gives_finite_gradients(model):
    module, batch = model(connection_epoch=0, image_prior="warp"), fake_batch()
    batch["posed_flow"] = torch.zeros_like(batch["flow"])
    batch["flow"] = torch.zeros_like(batch["flow"])
    _, losses = flow_generator_losses(module, batch)
    losses["g_f"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.g_f.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 40}, "multiples of 16 .* got 40x40"),
        ({"flow_prior": "filter"}, "choose representation cartesian"),
        ({"clip": 0.0}, "above 0"),
    ],
)
def test_choices_that_do_not_fit_are_refused_at_once(model, options, message):
    with pytest.raises(ValueError, match=message):
        model(**options)


def test_forward_gives_pixels_logits_and_faces(model):
    module, batch = model(image_prior="warp", representation="cartesian").eval(), fake_batch()
    flow, logits, face = module(batch["posed_flow"], batch["neutral"])
    encoded = module.g_f(module.codec.encode(batch["posed_flow"]))
    torch.testing.assert_close(flow, 10 * SIZE / 128 * encoded)
    torch.testing.assert_close(logits, module.d_e(encoded))
    # The residual is about nothing at the start.
    assert (face - warp(batch["neutral"], flow)).abs().max() < 0.1


@pytest.mark.parametrize(("prior", "uncut"), [("filter", True), ("none", False)])
def test_a_filter_sees_motion_beyond_the_clip(model, prior, uncut):
    """It subtracts the head's; where posed flows are cut, what is left is not the face's."""
    module = model(flow_prior=prior, representation="cartesian", clip=2.0)
    if uncut:
        frontal, posed = (torch.randn(12, 2, 32, 32) for _ in range(2))
        module.g_f.fit_subspaces(frontal, posed, torch.arange(12))
    far = 40 * torch.rand(1, 2, 32, 32) + 10
    face = torch.rand(1, 3, 32, 32)
    module.eval()
    with torch.no_grad():
        same = torch.equal(module(far, face)[0], module(2 * far, face)[0])
    assert same is not uncut


def test_test_step_returns_what_callbacks_read(model, trainer, datamodule):
    module, batch = model().eval(), fake_batch(3, registered=True)
    module.judges.divide((), FakeDataModule.rivals)
    with torch.no_grad():
        outputs = module.test_step(batch, 0)
    measures = outputs.pop("measures")
    shapes = {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    flow, image = (3, 2, 32, 32), (3, 3, 32, 32)
    assert shapes == {
        "logits": (3, 3),
        "label": (3,),
        "sample_id": (3,),
        "posed_flow": flow,
        "frontalized_flow": flow,
        "flow": flow,
        "neutral": image,
        "warped": image,
        "apex": image,
        "registered_flow": flow,
        "feature_registered_flow": flow,
        "posed_apex": image,
        "rival_flow_other": flow,
        "rival_apex_other": image,
        "subsets": (3, 2),
        "is_neutral_apex": (3,),
        "subject": (3,),
    }
    assert all(not tensor.requires_grad for tensor in outputs.values())
    assert {tuple(values.shape) for values in measures.values()} == {(3,)}
    assert measures["posed_epe_px"].mean() == pytest.approx(
        128 / SIZE * endpoint_error(batch["posed_flow"], batch["flow"]).item(), rel=1e-5
    )


def test_predict_step_needs_no_frontal_camera(model):
    module, batch = model().eval(), fake_batch()
    sequence = {key: batch[key] for key in ("posed_flow", "neutral", "sample_id")}
    sequence |= {"frame": torch.tensor([1, 2, 3]), "sequence": ["a", "a", "b"]}
    with torch.no_grad():
        outputs = module.predict_step(sequence, 0)
    assert set(outputs) == {
        "logits",
        "sample_id",
        "sequence",
        "frame",
        "posed_flow",
        "frontalized_flow",
        "neutral",
        "warped",
    }
    assert outputs["sequence"] == ["a", "a", "b"]


@pytest.mark.parametrize("registered", [True, False])
def test_every_row_of_the_table_is_measured(model, trainer, registered):
    module = model(image_prior="warp", representation="cartesian")
    module.judges.flow.fitted.fill_(True)
    datamodule = FakeDataModule(registered=registered)
    module.average_face.copy_(datamodule.average_face())
    results = trainer().test(module, datamodule=datamodule, verbose=False)[0]
    ours = {"emotion_gan", "emotion_gan_frontal"}
    rows = {"posed", "zero", "fit", "frontal"} | ours
    stills = {"neutral", "apex"}
    if registered:
        rows = rows | {"registration", "features", "other"}
        stills = stills | {"posed_apex", "other_apex"}
    of_flows = {"epe_px", "epe_face_px", "accuracy", "judge_accuracy", "judge_confidence"}
    of_faces = {"ssim", "rmse", "image_accuracy"}
    faces = rows | {f"{row}_warp" for row in rows} | stills
    moved = {"posed", "features", "other"} | ours
    lists = {
        f"{row}_{quantity}"
        for chosen, quantities in (
            (moved | {"frontal"}, ("epe_px", "accuracy")),
            (moved | {"posed_apex", "other_apex", "apex"}, of_faces),
            ({"average", "average_frontal"}, {"image_accuracy"}),
        )
        for row in chosen
        for quantity in quantities
    }
    assert {f"test/{name}_{one}" for name in ("yaw", "roll") * registered for one in lists} | {
        f"test/{row}_image_accuracy" for row in ("average", "average_frontal")
    } | {f"test/{row}_{quantity}" for row in rows for quantity in of_flows} | {
        f"test/{face}_{quantity}" for face in faces for quantity in of_faces
    } | {
        f"test/{quantity}_over_{row}"
        for row in rows - ours - {"frontal"}
        for quantity in ("epe_px", "epe_face_px", "judge_accuracy")
    } | {f"test/{quantity}_over_warp" for quantity in of_faces} | {
        "test/accuracy",
        "test/balanced_accuracy",
        "test/f1_macro",
        "test/recall_neutral",
        "test/recall_happiness",
        "test/recall_surprise",
    } == set(results)

    batch = fake_batch(4, registered=True)
    length = 128 / SIZE * batch["flow"].norm(dim=1).mean().item()
    assert results["test/zero_epe_px"] == pytest.approx(length, rel=1e-5)
    fitted = endpoint_error(fit_frontal_flow(batch["posed_flow"]), batch["flow"]).item()
    assert results["test/fit_epe_px"] == pytest.approx(128 / SIZE * fitted, rel=1e-5)
    assert results["test/frontal_epe_px"] == results["test/frontal_epe_face_px"] == 0
    assert results["test/epe_px_over_zero"] == pytest.approx(
        results["test/emotion_gan_epe_px"] - results["test/zero_epe_px"], rel=1e-5
    )
    assert results["test/rmse_over_warp"] == pytest.approx(
        results["test/emotion_gan_rmse"] - results["test/emotion_gan_warp_rmse"], rel=1e-5
    )
    assert results["test/accuracy"] == pytest.approx(results["test/emotion_gan_accuracy"])
    if registered:
        # A drift is the same everywhere, in the face and beside it.
        assert results["test/registration_epe_px"] == pytest.approx(
            results["test/posed_epe_face_px"] / 2, rel=1e-5
        )
        mirrored = (255 * (batch["posed_apex"] - batch["apex"])).square().mean((1, 2, 3)).sqrt()
        assert results["test/posed_apex_rmse"] == pytest.approx(mirrored.mean().item(), rel=1e-5)
        # The first sample alone moves so, the others otherwise.
        first, others = (results[f"test/{name}_posed_epe_px"] for name in datamodule.subset_names)
        error = endpoint_error(batch["posed_flow"][:1], batch["flow"][:1]).item()
        assert first == pytest.approx(128 / SIZE * error, rel=1e-5)
        assert (first + 3 * others) / 4 == pytest.approx(results["test/posed_epe_px"], rel=1e-5)
        for quantity in of_flows:
            assert results[f"test/other_{quantity}"] == results[f"test/frontal_{quantity}"]
        for quantity in of_faces:
            assert results[f"test/other_apex_{quantity}"] == results[f"test/apex_{quantity}"]
            assert results[f"test/other_{quantity}"] == results[f"test/frontal_{quantity}"]
    # Nothing is moved by a zero flow.
    for quantity in of_faces:
        assert results[f"test/zero_warp_{quantity}"] == pytest.approx(
            results[f"test/neutral_{quantity}"], rel=1e-5
        )
    assert results["test/apex_rmse"] == 0
    moved = warp(batch["neutral"], batch["flow"])
    roots = (255 * (moved - batch["apex"])).square().mean((1, 2, 3)).sqrt()
    assert results["test/frontal_warp_rmse"] == pytest.approx(roots.mean().item(), rel=1e-4)


def test_the_average_face_is_kept_and_animated(model, trainer, datamodule):
    module = model(image_prior="warp", representation="cartesian")
    trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=datamodule)
    assert torch.equal(module.average_face, datamodule.average_face())
    seen = []
    count = module.judges.count_average

    def note(row, face, batch):
        seen.append((row, face))
        return count(row, face, batch)

    module.judges.count_average = note
    trainer().test(module, datamodule=datamodule, verbose=False)
    batch = fake_batch(2)
    module.eval()
    for row, flow in (("average", "posed_flow"), ("average_frontal", "flow")):
        face = next(face for found, face in seen if found == row)
        average = module.average_face.expand_as(batch["neutral"])
        with torch.no_grad():
            wanted = module(batch[flow], average)[2]
        torch.testing.assert_close(face, wanted, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_without_an_average_face_loads(model):
    module = model()
    state = module.state_dict()
    del state["average_face"]
    checkpoint = {"state_dict": state}
    other = model()
    other.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["state_dict"])
    assert not other.average_face.any()


def test_nothing_is_measured_of_frames_that_a_sample_lacks(model, trainer, datamodule):
    module, batch = model().eval(), fake_batch(3, registered=True)
    module.judges.divide(("roll", "yaw"), FakeDataModule.rivals)
    batch["rival_flow_other"][0] = batch["rival_apex_other"][0] = torch.nan
    with torch.no_grad():
        measures = module.test_step(batch, 0)["measures"]
    for name, values in measures.items():
        lacks = name.split("_")[0] == "other"
        assert values.isnan().tolist() == [lacks, False, False], name
    means = module.judges.summarize()
    assert all(math.isnan(means[f"{name}_accuracy"]) for name in ("other", "roll_other"))
    assert means["yaw_other_epe_px"] == means["yaw_other_apex_rmse"] == 0


def test_a_method_with_the_name_of_a_row_is_refused(model, trainer):
    module, datamodule = model(), FakeDataModule()
    datamodule.rivals = ("posed",)
    with pytest.raises(UserError, match=r"calls a method posed, which is a row of every table"):
        trainer().fit(module, datamodule=datamodule)


def test_judges_answer_for_themselves(model, trainer):
    """What they are fitted on decides what they say, whatever D_E and e_FER say."""
    module, datamodule = model(), FakeDataModule()
    trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=datamodule)
    for judge, constant in ((module.judges.flow, 1), (module.judges.image, 2)):
        last = [m for m in judge.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.weight.zero_()
        last.bias.copy_(functional.one_hot(torch.tensor(constant), 3).float())
    results = trainer().test(module, datamodule=datamodule, verbose=False)[0]
    # Labels of the four samples: 0, 1, 2, 0.
    for row in ("zero", "emotion_gan", "frontal"):
        assert results[f"test/{row}_judge_accuracy"] == 0.25
        assert results[f"test/{row}_image_accuracy"] == 0.25
        e = torch.tensor(1.0).exp().item()
        expected = (e / (e + 2) + 3 / (e + 2)) / 4
        assert results[f"test/{row}_judge_confidence"] == pytest.approx(expected, rel=1e-5)


def test_validation_measures_the_flows_and_the_faces(model, trainer, datamodule):
    module = model()
    module.judges.flow.fitted.fill_(True)
    results = trainer().validate(module, datamodule=datamodule, verbose=False)[0]
    names = ("epe_px", "epe_face_px", "accuracy", "judge_accuracy", "judge_confidence")
    for row in ("", "posed_", "zero_", "fit_", "frontal_"):
        assert {f"val/{row}{name}" for name in names} <= set(results)
    for name in ("ssim", "rmse", "image_accuracy", "warp_ssim", "warp_rmse"):
        assert f"val/{name}" in results
