from __future__ import annotations

from experiments.command.names import differences


def test_files_and_values_that_change_the_experiment() -> None:
    line = "fit --config experiments/pcnn.yaml -c experiments/presets/pcnn_laptop.yaml"
    line += " --model.optimizer.lr=0.1 --model.init_args.width 8 --trainer.max_epochs 3"
    line += " --model.optimizer torch.optim.SGD --data.batch_size=4"
    assert differences(line.split()) == [
        "pcnn_laptop",
        "optimizer.lr=0.1",
        "width=8",
        "max_epochs=3",
        "optimizer=SGD",
        "batch_size=4",
    ]


def test_nothing_of_place_fold_seed_machine_and_person() -> None:
    line = ["--config=a.yaml", "--data.fold=3", "--seed_everything=1", "--trainer.devices=2"]
    line += ["--data.root=/home/anna/faces", "--model.pretrained", "best.ckpt", "--runs_dir=x"]
    line += ["--model.name=${oc.env:TOKEN}", "--wandb=online", "--data.num_workers", "3"]
    line += [f"--model.name={'secret' * 5}", "--model.flag", "--model", "pcnn"]
    assert differences(line) == []
