import numpy as np
import pytest
from metai2i_street.labels import CLASSES, OTHER, PALETTE
from metai2i_street.tables import COLUMNS, UNKNOWN, Tables, class_dict, label_colors

from metai2i import UserError

CAMVID = {
    "Animal": 19, "Archway": 2, "Bicyclist": 12, "Bridge": 2, "Building": 2, "Car": 13, "CartLuggagePram": 19,
    "Child": 11, "Column_Pole": 5, "Fence": 4, "LaneMkgsDriv": 0, "LaneMkgsNonDriv": 0, "Misc_Text": 7,
    "MotorcycleScooter": 17, "OtherMoving": 19, "ParkingBlock": 1, "Pedestrian": 11, "Road": 0, "RoadShoulder": 1,
    "Sidewalk": 1, "SignSymbol": 7, "Sky": 10, "SUVPickupTruck": 13, "TrafficCone": 19, "TrafficLight": 6,
    "Train": 16, "Tree": 8, "Truck_Bus": 15, "Tunnel": 2, "VegetationMisc": 8, "Void": 19, "Wall": 3,
}  # fmt: skip


def test_there_are_twenty_classes_with_distinct_colours():
    assert (len(CLASSES), CLASSES[0], CLASSES[18], CLASSES[19], OTHER) == (20, "road", "bicycle", "other", 19)
    assert len(set(PALETTE)) == 20
    assert PALETTE[13] == (0, 0, 142)


def test_all_32_camvid_colours_are_mapped():
    table = Tables().colours("camvid_colours")
    assert {name: to for name, _, to in table.rows} == CAMVID
    assert len(np.unique(table.colours, axis=0)) == 32
    # Official colours are made of 0, 64, 128 and 192 only.
    assert set(np.unique(table.colours)) == {0, 64, 128, 192}


def test_every_cityscapes_label_id_is_mapped_as_the_official_train_ids():
    lookup = Tables().ids("cityscapes_ids").lookup
    train = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    expected = np.full(34, OTHER)
    expected[train] = np.arange(19)
    np.testing.assert_array_equal(lookup[:34], expected)
    assert (lookup[34:] == UNKNOWN).all()


def test_train_ids_keep_their_place_and_255_is_other():
    table = Tables().ids("train_ids")
    np.testing.assert_array_equal(table.lookup[:19], np.arange(19))
    assert table.lookup[255] == OTHER
    assert table.expected == "0..18 and 255"


def test_all_segnet_ids_are_mapped():
    table = Tables().ids("segnet_ids")
    assert table.lookup[:12].tolist() == [10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 12, 19]
    assert table.expected == "0..11"


def test_the_cityscapes_colours_hold_the_palette():
    rows = {colour: to for _, colour, to in Tables().colours("cityscapes_colours").rows}
    assert all(rows[colour] == to for to, colour in enumerate(PALETTE))
    assert set(rows.values()) == set(range(20))


def test_a_table_of_ones_own_takes_the_place_of_one(tmp_path):
    (tmp_path / "segnet_ids.csv").write_text("label, name, id\n0, Sky, 10\n1, All else, 19\n")
    for mapping in (tmp_path, tmp_path / "segnet_ids.csv"):
        tables = Tables(mapping)
        assert tables.ids("segnet_ids").expected == "0..1"
        assert tables.ids("cityscapes_ids").expected == "0..33"
        assert tables.digest() != Tables().digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label,name,id\n0,Sky,10\n1,Road,20\n",
            r"segnet_ids.csv:3: id: got '20', expected a whole number from 0 to 19",
        ),
        ("label,name,id\n0,Sky,ten\n", r":2: id: got 'ten', expected a whole number"),
        ("label,name,id\n0,Sky,1\n0,Road,2\n", r":3: the label 0 stands twice"),
        ("label,name,id\n0,Sky\n", r":2: expected 3 cells, got 2"),
        ("a,b,c\n0,Sky,1\n", r":1: expected the columns label,name,id, got a,b,c"),
    ],
)
def test_a_wrong_table_is_told_by_line(tmp_path, text, message):
    (tmp_path / "segnet_ids.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        Tables(tmp_path).ids("segnet_ids")


def test_a_mapping_without_a_known_name_is_told(tmp_path):
    (tmp_path / "segnet_id.csv").write_text("label,name,id\n")
    with pytest.raises(UserError, match=r"tables are called .*segnet_ids\.csv"):
        Tables(tmp_path)
    with pytest.raises(UserError, match=r"did you mean 'segnet_ids\.csv'"):
        Tables(tmp_path / "segnet_id.csv")
    with pytest.raises(UserError, match="does not exist"):
        Tables(tmp_path / "nowhere")


def test_every_table_is_packaged():
    tables = Tables()
    for name, columns in COLUMNS.items():
        assert len(tables.ids(name).ids if "label" in columns else tables.colours(name).rows) > 0


def test_stray_spaces_in_class_dict_are_stripped(tmp_path):
    path = tmp_path / "class_dict.csv"
    path.write_text("name, r, g,b\nBicyclist ,0,128, 192\n\n Void,0, 0, 0")
    assert class_dict(path) == [("Bicyclist", (0, 128, 192), 2), ("Void", (0, 0, 0), 4)]


def test_label_colors_are_read(tmp_path):
    path = tmp_path / "label_colors.txt"
    path.write_text("64 128 64\tAnimal\n192 0 128\t\tArchway\n")
    assert label_colors(path) == [("Animal", (64, 128, 64), 1), ("Archway", (192, 0, 128), 2)]
    path.write_text("64 128\tAnimal\n")
    with pytest.raises(UserError, match=r"label_colors.txt:1: expected `R G B Name`"):
        label_colors(path)


def test_colours_of_a_data_set_go_by_class_name(tmp_path):
    """Merged classes have names of their own (SegNet's), and colours may differ from the official ones."""
    tables = Tables()
    named = [("road", (1, 2, 3), 2), ("Pavement", (4, 5, 6), 3), ("nameless", (128, 0, 0), 4)]
    table = tables.colours("camvid_colours").recoloured(tmp_path, named, tables.names("segnet_ids"))
    assert {colour: to for _, colour, to in table.rows} == {(1, 2, 3): 0, (4, 5, 6): 1, (128, 0, 0): 2}


def test_an_unknown_class_of_a_data_set_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"class_dict.csv:7: class 'Bilding'.*did you mean 'Building'"):
        Tables().colours("camvid_colours").recoloured(tmp_path / "class_dict.csv", [("Bilding", (1, 2, 3), 7)], {})
