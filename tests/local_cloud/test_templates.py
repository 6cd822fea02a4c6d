"""Templates are read, checked and packaged."""

from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloudformation.checks import UnsupportedTemplateError, check, without_effect
from local_cloud.packaging import Image, package, parameter_images
from local_cloud.template_file import TemplateError, read_template


def test_short_forms_are_read(tmp_path: Path) -> None:
    """As CloudFormation reads them; dates stay text."""
    file = tmp_path / "template.yaml"
    file.write_text(
        "AWSTemplateFormatVersion: 2010-09-09\nResources:\n"
        "  A: {Arn: !GetAtt B.Arn.C, Name: !Ref B, If: !Condition C}\n"
        "  B: {Text: !Sub '${A}-b', Joined: !Join ['-', [a, !Ref A]]}\n"
    )

    assert read_template(file) == {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "A": {"Arn": {"Fn::GetAtt": ["B", "Arn.C"]}, "Name": {"Ref": "B"}, "If": {"Condition": "C"}},
            "B": {"Text": {"Fn::Sub": "${A}-b"}, "Joined": {"Fn::Join": ["-", ["a", {"Ref": "A"}]]}},
        },
    }


@pytest.mark.parametrize(("text", "problem"), [("a: [", "no valid YAML"), ("a: b", "no Resources")])
def test_what_is_no_template_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With the file's name."""
    file = tmp_path / "template.yaml"
    file.write_text(text)

    with pytest.raises(TemplateError, match=problem):
        read_template(file)


def _bucket(**properties: Any) -> dict[str, Any]:
    return {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}}


def test_all_that_is_not_supported_is_named_at_once() -> None:
    """Also deep inside of a structure and in a list."""
    template = _bucket(
        WebsiteConfiguration={"IndexDocument": "a"},
        LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Transitions": [{"StorageClass": "GLACIER"}]}]},
    )
    with pytest.raises(UnsupportedTemplateError) as refused:
        check(template)

    assert [finding.path for finding in refused.value.findings] == [
        "WebsiteConfiguration",
        "LifecycleConfiguration.Rules.Transitions",
    ]


def test_a_value_that_only_a_function_knows_is_let_through() -> None:
    """Ref, GetAtt and the like cannot be looked into."""
    assert check(_bucket(VersioningConfiguration={"Fn::FindInMap": ["A", "B", "C"]}, BucketName={"Ref": "Name"})) == []


def test_both_branches_count_where_the_condition_is_not_known() -> None:
    """And one where it is."""
    template = _bucket(VersioningConfiguration={"Fn::If": ["Kept", {"Status": "Enabled"}, {"Colour": "green"}]})
    with pytest.raises(UnsupportedTemplateError):
        check(template)

    assert check(template, {"Kept": True}) == []


def test_what_takes_no_effect_is_said_once() -> None:
    """For the property as a whole, with the reason."""
    rules = [{"Id": "a", "Status": "Enabled", "ExpirationInDays": 1}]
    notes = without_effect(_bucket(LifecycleConfiguration={"Rules": rules}))

    assert [str(note) for note in notes] == [
        "Bucket (AWS::S3::Bucket) LifecycleConfiguration: the rules are stored and answered; nothing is removed by age"
    ]


FUNCTION = {
    "Type": "AWS::Serverless::Function",
    "Metadata": {"Dockerfile": "docker/File", "DockerContext": "..", "DockerBuildArgs": {"NAME": 1}, "DockerTag": "t"},
    "Properties": {"PackageType": "Image"},
}


def test_packaging_builds_images_and_uploads_definitions(tmp_path: Path) -> None:
    """Paths are relative to the template, the Dockerfile's to its context; the template given stays as it was."""
    (tmp_path / "machine.yaml").write_text("StartAt: A")
    machine = {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "machine.yaml"}}
    template = {"Resources": {"Ingest": FUNCTION, "Machine": machine}}
    built: list[Image] = []
    uploaded: dict[str, bytes] = {}

    def build(image: Image) -> str:
        built.append(image)
        return "uri"

    def upload(key: str, content: bytes) -> dict[str, str]:
        uploaded[key] = content
        return {"Bucket": "b", "Key": key}

    packaged = package(template, tmp_path / ".", build, upload)
    (key,) = uploaded

    assert packaged["Resources"]["Ingest"]["Properties"]["ImageUri"] == "uri"
    assert packaged["Resources"]["Machine"]["Properties"]["DefinitionUri"] == {"Bucket": "b", "Key": key}
    assert built == [
        Image("ingest", tmp_path.parent / "docker/File", tmp_path.parent, {"NAME": "1"}, "t"),
    ]
    assert machine["Properties"] == {"DefinitionUri": "machine.yaml"}


def test_a_function_without_an_image_is_refused(tmp_path: Path) -> None:
    """With its logical ID."""
    function = {"Type": "AWS::Serverless::Function", "Properties": {"PackageType": "Image"}}

    with pytest.raises(TemplateError, match="Ingest: PackageType Image needs"):
        package({"Resources": {"Ingest": function}}, tmp_path, lambda _image: "uri", lambda _key, _content: {})


def test_images_that_a_parameter_holds_must_have_that_parameter(tmp_path: Path) -> None:
    """The template's Metadata names them by parameter."""
    images = {"Treering": {"Images": {"JobImage": {"Dockerfile": "Dockerfile"}}}}
    template = {"Metadata": images, "Parameters": {"JobImage": {"Type": "String"}}}

    assert parameter_images(template, tmp_path)["JobImage"].dockerfile == tmp_path / "Dockerfile"
    with pytest.raises(TemplateError, match="JobImage, which is no parameter"):
        parameter_images({"Metadata": images}, tmp_path)
