namespace IlgpuLoader.Loading;

/// <summary>How a model's parameters are loaded. Immutable.</summary>
public sealed record ModuleLoadOptions
{
    /// <summary>The defaults: strict, into host memory.</summary>
    public static ModuleLoadOptions Default { get; } = new();

    /// <summary>
    /// Device, lanes, staging and how files are read. <see cref="LoadOptions.Include"/> and <see cref="LoadOptions.Exclude"/> choose weights by their names in
    /// the checkpoint. Parameters have dtypes of their own, ranks are the model's, and slices have no hashes: <see cref="LoadOptions.DType"/>,
    /// <see cref="LoadOptions.TensorParallel"/> and <see cref="LoadOptions.Manifest"/> are refused. Mapped files are read from their mapping; parameters have memory of their own.
    /// </summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <summary>
    /// Whether parameters that nothing fills and weights that nothing takes are an error; else they are warnings, and what nothing fills is 0. Default: true.
    /// </summary>
    public bool IsStrict { get; init; } = true;

    /// <summary>What a weight is called in the model, by its name in the checkpoint; null from it for a weight to leave out. Null for the same name.</summary>
    public Func<string, string?>? Rename { get; init; }

    /// <summary>The names and transforms of a GGUF checkpoint; null for those of its architecture.</summary>
    public GgufNameMap? GgufNames { get; init; }

    /// <summary>Where warnings go; null for nowhere.</summary>
    public WarningLog? Warnings { get; init; }
}
