namespace IlgpuLoader.Loading;

/// <summary>How the weights of a live model are replaced. Immutable.</summary>
public sealed record ReloadOptions
{
    /// <summary>The defaults: layer by layer, without a gate.</summary>
    public static ReloadOptions Default { get; } = new();

    /// <summary>
    /// Lanes, staging and how files are read; its device is the model's own and is not looked at. <see cref="LoadOptions.DType"/>, <see cref="LoadOptions.TensorParallel"/> and
    /// <see cref="LoadOptions.Manifest"/> are refused, as in <see cref="ModuleLoadOptions.Load"/>.
    /// </summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <inheritdoc cref="ModuleLoadOptions.Rename"/>
    public Func<string, string?>? Rename { get; init; }

    /// <inheritdoc cref="ModuleLoadOptions.GgufNames"/>
    public GgufNameMap? GgufNames { get; init; }

    /// <summary>
    /// Whether all layers change or none: the new weights of the whole model are loaded and processed into host memory first, and swapped in one pass then. Takes as much host memory as the model.
    /// Default: false; each layer changes as soon as its own are there.
    /// </summary>
    public bool AllOrNothing { get; init; }

    /// <summary>What keeps readers off a layer while it is written; null where nobody reads the model meanwhile.</summary>
    public ILayerGate? Gate { get; init; }

    /// <summary>Where warnings go; null for nowhere.</summary>
    public WarningLog? Warnings { get; init; }
}
