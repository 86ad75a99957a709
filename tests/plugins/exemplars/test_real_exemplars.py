"""The authors' own samples, where they are beside the checkout."""

import numpy as np
import pytest
from metai2i_exemplars.exemplars import Exemplars
from PIL import Image

from metai2i import UserError
from metai2i.data_tools.dataset_check import check_source
from metai2i.data_tools.findings import Demand, Need

pytestmark = pytest.mark.shared


@pytest.fixture
def samples(shared):
    return shared / "data" / "exemplar" / "raw_layouts" / "cocosnet_imgs"


@pytest.fixture
def lists(shared):
    return shared / "data" / "exemplar" / "raw_layouts" / "cocosnet_lists"


def errors(source: Exemplars) -> list[str]:
    from contextlib import nullcontext

    report = check_source(source, Demand([Need("test", 2)], 2), lambda split, total: nullcontext(lambda done: None))
    return [finding.text for finding in report.findings if finding.level == "error"]


def test_the_list_of_ade20k_makes_a_scene_of_each_image_that_tests(samples, lists):
    source = Exemplars(root=samples / "ade20k", test_list=lists / "ade20k_ref_test.txt")
    assert [len(task) for task in source.tasks("test")] == [2] * 6
    assert errors(source) == []
    record = source.tasks("test")[0].pairs[0]
    natural = np.asarray(Image.open(record.maps[0]))
    assert set(np.unique(source.tasks("test")[0].maps(1).numpy())) <= set(np.unique(natural))


def test_merged_faces_come_out_as_they_are(samples):
    source = Exemplars(root=samples / "celebahq", size=(512, 512))
    assert [record.name for task in source.tasks("test") for record in task.pairs] == [
        "29922",
        "29883",
        "26969",
        "25807",
    ]
    task = source.tasks("train")[0]
    assert (task.maps(4)[0].numpy() == np.asarray(Image.open(task.pairs[0].maps[0]))).all()
    assert errors(source) == []


def test_the_mask_that_is_cut_short_is_found(samples):
    source = Exemplars(root=samples / "celebahqedge", least=1)
    with pytest.raises(UserError, match=r"15064_r_ear.png: .*damaged or cut short"):
        source.tasks("train")[0].load(range(7))
    kept = Exemplars(root=samples / "celebahqedge", least=1, on_bad_file="skip")
    assert "15064" not in {record.name for task in kept.tasks("train") for record in task.pairs}


def test_clothes_and_their_exemplars_are_found_by_lists_with_backslashes(samples, lists):
    source = Exemplars(root=samples / "DeepFashion", test_list=lists / "deepfashion_ref_test.txt")
    assert source.tasks("test")[0].pairs[1].name == "img/WOMEN/Tees_Tanks/id_00007059/03_3_back"
    structure = source.tasks("test")[0].load([0])["structure"][0]
    assert structure[:3, 33, 127].tolist() != [0, 0, 0]
    assert errors(source) == []
