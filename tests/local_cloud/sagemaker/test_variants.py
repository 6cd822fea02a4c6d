"""Several variants behind one endpoint: weights, shadows, and what is measured of each."""

import itertools
import threading
import time

import pytest
from botocore.exceptions import ClientError

from local_cloud.faults import Answer
from local_cloud.sagemaker.shadow import _MOST_WAITING
from tests.local_cloud.sagemaker.test_endpoints import (
    IMAGE,
    config,
    create,
    invoke,
    model,
    serving,  # noqa: F401  a fixture
    settled,
)


def variant(name, word, weight=1.0, count=1):
    """A variant of an endpoint configuration."""
    return {
        "VariantName": name,
        "ModelName": word,
        "InitialInstanceCount": count,
        "InstanceType": "ml.t2.medium",
        "InitialVariantWeight": weight,
    }


def two(cloud, *weights):
    """An endpoint with the variants `main` (oak) and `challenger` (elm)."""
    model(cloud, "oak")
    model(cloud, "elm")
    variants = [variant("main", "oak", weights[0], 2), variant("challenger", "elm", weights[1])]
    cloud.sagemaker.create_endpoint_config(EndpointConfigName="both", ProductionVariants=variants)
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="both")
    return settled(cloud)


def shadowed(cloud, weight=1.0, capture=None):
    """An endpoint that serves `oak` and has the shadow `elm`."""
    model(cloud, "oak")
    model(cloud, "elm")
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName="watched",
        ProductionVariants=[variant("main", "oak")],
        ShadowProductionVariants=[variant("shadow", "elm", weight)],
        **({"DataCaptureConfig": capture} if capture else {}),
    )
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="watched")
    return settled(cloud)


def words(cloud, times=60, **more):
    """How often which model answers."""
    found = [invoke(cloud, **more)["Body"].read().split()[0].decode() for _ in range(times)]
    return {word: found.count(word) for word in set(found)}


def change(cloud, **weights):
    """Changes weights."""
    wanted = [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]
    cloud.sagemaker.update_endpoint_weights_and_capacities(EndpointName="grove", DesiredWeightsAndCapacities=wanted)


def copies(cloud, name="shadow"):
    """How many requests a variant had."""
    return len(cloud.metric("Invocations", EndpointName="grove", VariantName=name))


def all_copies(cloud):
    """How many requests the shadow had, once it has answered all that it was sent."""
    room = cloud.service._store.endpoints["grove"]._routing.current.shadow._room
    cloud.until(lambda: room._value, lambda left: left == _MOST_WAITING)
    return copies(cloud)


def test_traffic_follows_the_weights(serving):  # noqa: F811
    """A variant of three times the weight answers about three times as often; one of weight 0 only when it is named."""
    two(serving, 3, 1)
    served = words(serving, 200)
    change(serving, main=1, challenger=0)
    settled(serving)
    alone, named = words(serving, 20), words(serving, 3, TargetVariant="challenger")

    assert 110 <= served["oak"] <= 190
    assert served["elm"] == 200 - served["oak"]
    assert (alone, named) == ({"oak": 20}, {"elm": 3})


def test_weights_and_instance_counts_change_in_service(serving):  # noqa: F811
    """The endpoint is Updating, then in service with the same configuration; the configuration itself stays."""
    cloud = serving
    two(cloud, 1, 1)
    wanted = [{"VariantName": "main", "DesiredWeight": 0.25, "DesiredInstanceCount": 4}]
    cloud.sagemaker.update_endpoint_weights_and_capacities(EndpointName="grove", DesiredWeightsAndCapacities=wanted)
    end = settled(cloud)
    main, challenger = end["ProductionVariants"]
    kept = cloud.sagemaker.describe_endpoint_config(EndpointConfigName="both")["ProductionVariants"][0]

    assert cloud.told("Endpoint", "Creating", "InService", "Updating", "InService")
    assert end["EndpointConfigName"] == "both"
    assert (main["CurrentWeight"], main["DesiredWeight"]) == (0.25, 0.25)
    assert (main["CurrentInstanceCount"], challenger["CurrentInstanceCount"]) == (4, 1)
    assert (kept["InitialVariantWeight"], kept["InitialInstanceCount"]) == (1.0, 2)


def test_weights_that_make_no_sense_are_refused(serving):  # noqa: F811
    """A variant that does not exist, nothing left for anybody; the endpoint stays as it is."""
    two(serving, 1, 1)
    with pytest.raises(ClientError, match=r"variant\(s\) oak do not exist in this endpoint"):
        change(serving, oak=1)
    with pytest.raises(ClientError, match="must have a weight above 0"):
        change(serving, main=0, challenger=0)

    assert settled(serving)["EndpointStatus"] == "InService"


def test_a_shadow_gets_copies_and_answers_nobody(serving):  # noqa: F811
    """With the weight of the production variant it gets a copy of every request; the caller hears production alone."""
    endpoint = shadowed(serving)
    served = words(serving, 20)
    serving.until(lambda: copies(serving), lambda count: count == 20)
    shadows = endpoint["ShadowProductionVariants"]
    with pytest.raises(ClientError, match="Variant shadow not found"):
        invoke(serving, TargetVariant="shadow")

    assert served == {"oak": 20}
    assert [(one["VariantName"], one["CurrentWeight"], one["CurrentInstanceCount"]) for one in shadows] == [
        ("shadow", 1.0, 1)
    ]
    assert shadows[0]["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert [one["VariantName"] for one in endpoint["ProductionVariants"]] == ["main"]


def test_a_shadow_of_less_weight_gets_fewer_copies(serving):  # noqa: F811
    """Its share is the ratio of its weight to production's, also after it was changed; weight 0 ends it."""
    shadowed(serving, weight=0.25)
    words(serving, 100)
    quarter = all_copies(serving)
    change(serving, shadow=0)
    settled(serving)
    words(serving, 20)

    assert 5 <= quarter <= 50
    assert all_copies(serving) == quarter


def test_a_shadow_that_fails_or_is_slow_harms_nobody(serving):  # noqa: F811
    """Errors and slowness of the shadow are measured, and production answers as fast as ever."""
    shadowed(serving)
    faults = [Answer(variant="shadow", status=500, times=5), Answer(variant="shadow", seconds=0.5, times=None)]
    serving.faults.arm(faults)
    begun = time.monotonic()
    served = words(serving, 15)
    seconds = time.monotonic() - begun
    at = {"EndpointName": "grove", "VariantName": "shadow"}
    serving.until(lambda: copies(serving), lambda count: count == 15)

    assert served == {"oak": 15}
    assert seconds < 4  # the shadow alone takes five
    assert sum(serving.metric("Invocation5XXErrors", **at)) == 5
    assert max(serving.metric("ModelLatency", **at)) > 500_000
    assert sum(serving.metric("Invocation5XXErrors", EndpointName="grove", VariantName="main")) == 0


def test_one_shadow_beside_one_production_variant(serving):  # noqa: F811
    """More of either is refused, and so are two variants of one name."""
    model(serving, "oak")

    def make(production, shadows):
        serving.sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[variant(name, "oak") for name in production],
            ShadowProductionVariants=[variant(name, "oak") for name in shadows],
        )

    for production, shadows in ((["a", "b"], ["c"]), (["a"], ["b", "c"])):
        with pytest.raises(ClientError, match="With ShadowProductionVariants there must be one variant"):
            make(production, shadows)
    with pytest.raises(ClientError, match="must be unique"):
        make(["a"], ["a"])


def test_each_invocation_is_measured_per_variant_and_configuration(serving):  # noqa: F811
    """Counts, errors by kind, and latencies in microseconds; the caller's mistakes are not the server's."""
    create(serving)
    moments = [time.perf_counter()]
    invoke(serving)
    moments.append(time.perf_counter())
    serving.faults.arm([Answer(seconds=0.2)])
    invoke(serving)
    moments.append(time.perf_counter())
    with pytest.raises(ClientError):
        invoke(serving, "bad")
    moments.append(time.perf_counter())
    serving.faults.arm([Answer(status=503)])
    with pytest.raises(ClientError):
        invoke(serving)
    moments.append(time.perf_counter())
    with pytest.raises(ClientError):
        invoke(serving, TargetVariant="nobody")
    variant_only = {"EndpointName": "grove", "VariantName": "voak"}
    counts = {
        name: serving.metric(name, **variant_only)
        for name in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
    }
    latencies, overheads = (serving.metric(name, **variant_only) for name in ("ModelLatency", "OverheadLatency"))
    microseconds = [(end - begin) * 1e6 for begin, end in itertools.pairwise(moments)]

    assert counts == {
        "Invocations": [1, 1, 1, 1],
        "Invocation4XXErrors": [0, 0, 1, 0],
        "Invocation5XXErrors": [0, 0, 0, 1],
        "InvocationModelErrors": [0, 0, 1, 1],
    }
    assert latencies[1] >= 200_000
    assert min(*latencies, *overheads) > 0
    for latency, overhead, whole in zip(latencies, overheads, microseconds, strict=True):
        assert latency + overhead <= whole
    assert serving.metric("ModelLatency", **variant_only, EndpointConfigName="oak-config") == latencies
    assert {unit for name, unit, _at, _value in serving.measured if name == "ModelLatency"} == {"Microseconds"}


def test_no_answer_is_a_server_error(serving, monkeypatch):  # noqa: F811
    """A container that is down, or too late, counts as 5XX and as a model error."""
    create(serving)
    monkeypatch.setattr("local_cloud.sagemaker.serving.INVOCATION_TIMEOUT_SECONDS", 0.2)
    serving.faults.arm([Answer(seconds=0.3)])
    with pytest.raises(ClientError, match="Your invocation timed out"):
        invoke(serving)
    at = {"EndpointName": "grove", "VariantName": "voak"}

    assert serving.metric("Invocation5XXErrors", **at) == [1]
    assert serving.metric("InvocationModelErrors", **at) == [1]


def test_instances_share_the_invocations(serving):  # noqa: F811
    """InvocationsPerInstance is one invocation divided by the variant's instances."""
    two(serving, 1, 1)
    invoke(serving, TargetVariant="main")
    invoke(serving, TargetVariant="challenger")

    assert serving.metric("InvocationsPerInstance", EndpointName="grove", VariantName="main") == [0.5]
    assert serving.metric("InvocationsPerInstance", EndpointName="grove", VariantName="challenger") == [1.0]


def test_requests_go_on_while_weights_change(serving):  # noqa: F811
    """Nobody is turned away meanwhile."""
    two(serving, 1, 1)
    failures, done = [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                invoke(serving)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for weight in (0, 0.5, 2):
        change(serving, challenger=weight)
        settled(serving)
    done.set()
    thread.join()

    assert failures == []


def test_a_configuration_without_its_model_is_refused(serving):  # noqa: F811
    """Also that of a shadow."""
    config(serving, "oak-config", "oak")
    with pytest.raises(ClientError, match='Could not find model "arn'):
        serving.sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[variant("main", "oak")],
            ShadowProductionVariants=[variant("shadow", "none")],
        )
