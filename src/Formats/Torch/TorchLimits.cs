namespace IlgpuLoader.Formats.Torch;

/// <summary>What is accepted from PyTorch files. Immutable.</summary>
public sealed record TorchLimits
{
    /// <summary>
    /// The default largest pickle in bytes: what safetensors' reference accepts as a header, which describes the same tensors;
    /// the pickle of a model of 10,000 tensors has about 2 MB.
    /// </summary>
    public const long DefaultMaximumPickleBytes = 100_000_000;

    /// <summary>The defaults.</summary>
    public static TorchLimits Default { get; } = new();

    /// <summary>
    /// Whether classes and functions that are not on the list become inert records, so that whole modules and training
    /// checkpoints give their tensors. Nothing of them is executed in any case, and what could only be an attack
    /// (<c>os</c>, <c>subprocess</c>, <c>builtins.eval</c>) stays refused. Default false.
    /// </summary>
    public bool AllowUnknownGlobals { get; init; }

    /// <summary>The largest pickle in bytes; it is held in memory while it is read.</summary>
    public long MaximumPickleBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 2);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumPickleBytes;
}
