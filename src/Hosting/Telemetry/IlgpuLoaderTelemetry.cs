namespace IlgpuLoader.Hosting;

/// <summary>
/// The names under which a host is observed: those of the meter and of its instruments, of the activity source and of its activities, and of their tags. What each means is in
/// <c>docs/metrics.md</c>. No tag has a value that comes from a checkpoint: models have the names that are configured, and tensors are never named.
/// </summary>
public static class IlgpuLoaderTelemetry
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "IlgpuLoader";

    /// <summary>The name of the activity source.</summary>
    public const string ActivitySourceName = "IlgpuLoader";

    /// <summary>The activity of a load: a model that was not there.</summary>
    public const string LoadActivityName = "load";

    /// <summary>The activity of a reload: a model that was there.</summary>
    public const string ReloadActivityName = "reload";

    /// <summary>A histogram: the seconds that loads and reloads took which came to their end or failed.</summary>
    public const string LoadDuration = "ilgpu_loader.load.duration";

    /// <summary>A histogram: the seconds that each stage (<see cref="LoadStage"/>) of a completed load or reload took.</summary>
    public const string LoadStageDuration = "ilgpu_loader.load.stage.duration";

    /// <summary>A counter: bytes read from files; grows while a load runs.</summary>
    public const string BytesRead = "ilgpu_loader.bytes.read";

    /// <summary>A counter: bytes that loads and reloads downloaded, because they were not in the cache; grows while one does. What is streamed counts as read.</summary>
    public const string BytesDownloaded = "ilgpu_loader.bytes.downloaded";

    /// <summary>A counter: bytes of device memory that unloads gave back.</summary>
    public const string BytesFreed = "ilgpu_loader.bytes.freed";

    /// <summary>A counter: tensors of loads and reloads that came to their end.</summary>
    public const string TensorsLoaded = "ilgpu_loader.tensors.loaded";

    /// <summary>Goes up and down: loads and reloads that run now.</summary>
    public const string LoadsActive = "ilgpu_loader.loads.active";

    /// <summary>A counter: loads and reloads that failed, each try.</summary>
    public const string LoadsFailed = "ilgpu_loader.loads.failed";

    /// <summary>A histogram: the seconds that who leases a model waited for it.</summary>
    public const string LeaseWaitDuration = "ilgpu_loader.lease.wait.duration";

    /// <summary>Observed: 1 for the state that a model is in, 0 for each other; the sum over models is how many are in a state.</summary>
    public const string ModelStateCount = "ilgpu_loader.model.state";

    /// <summary>Observed: the version that a model has (<see cref="ModelStatus.Version"/>).</summary>
    public const string ModelVersion = "ilgpu_loader.model.version";

    /// <summary>Observed: 1 where all required models are available, else 0.</summary>
    public const string Ready = "ilgpu_loader.ready";

    /// <summary>Observed: bytes of a device's memory that are allocated here and not freed.</summary>
    public const string DeviceMemoryUsed = "ilgpu_loader.device.memory.used";

    /// <summary>Observed: allocations on a device that are not freed.</summary>
    public const string DeviceAllocations = "ilgpu_loader.device.allocations";

    /// <summary>The unit of durations (UCUM).</summary>
    public const string SecondsUnit = "s";

    /// <summary>The unit of sizes (UCUM).</summary>
    public const string BytesUnit = "By";

    /// <summary>The unit of numbers of tensors.</summary>
    public const string TensorsUnit = "{tensor}";

    /// <summary>The unit of numbers of loads.</summary>
    public const string LoadsUnit = "{load}";

    /// <summary>The unit of numbers of models.</summary>
    public const string ModelsUnit = "{model}";

    /// <summary>The unit of versions.</summary>
    public const string VersionsUnit = "{version}";

    /// <summary>The unit of numbers of allocations.</summary>
    public const string AllocationsUnit = "{allocation}";

    /// <summary>The unit of what is either so or not (UCUM).</summary>
    public const string NoUnit = "1";

    /// <summary>The configured name of a model.</summary>
    public const string ModelTag = "model";

    /// <summary>Whether it is a load or a reload: <c>load</c> or <c>reload</c>.</summary>
    public const string LoadKindTag = "load.kind";

    /// <summary>The format of the checkpoint's files, such as <c>safetensors</c>.</summary>
    public const string FormatTag = "format";

    /// <summary>The kind of a device (<see cref="Gpu.DeviceKind"/>) in lower case, such as <c>cuda</c>.</summary>
    public const string DeviceKindTag = "device.kind";

    /// <summary>The id of a device, such as <c>cuda:0</c>.</summary>
    public const string DeviceIdTag = "device.id";

    /// <summary>The code of a failure (<see cref="ModelFailure.Code"/>); there only where something has failed.</summary>
    public const string ErrorTypeTag = "error.type";

    /// <summary>The name of a stage (<see cref="LoadStage.Name"/>), such as <c>read</c>.</summary>
    public const string StageTag = "stage";

    /// <summary>A state (<see cref="ModelState"/>) in lower case, such as <c>loaded</c>.</summary>
    public const string StateTag = "state";
}
