using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What <see cref="GgufWeights"/> gives and where to. Immutable.</summary>
public sealed record GgufWeightsOptions
{
    /// <summary>The defaults: every weight, blocks as they are stored, into host memory.</summary>
    public static GgufWeightsOptions Default { get; } = new();

    /// <summary>
    /// Device, dtype, lanes, staging and the window of tensors that wait to be taken. Without a
    /// <see cref="LoadOptions.DType"/> blocks are given as they are stored; with one they are decoded to it, as are tensors of
    /// floats. <see cref="LoadOptions.Include"/> and <see cref="LoadOptions.Exclude"/> choose by the names of the checkpoint,
    /// before any of them is renamed. <see cref="LoadOptions.TensorParallel"/> and <see cref="LoadOptions.Manifest"/> go by
    /// the names of the file's own tensors and are refused.
    /// </summary>
    public LoadOptions Load { get; init; } = LoadOptions.Default;

    /// <summary>
    /// What blocks are decoded to where they are wanted as they are stored, but cannot be given so: a name that cannot be
    /// renamed, a transform that needs values. One of <see cref="Codecs.Targets"/>. Default: F32, which holds every value as
    /// ggml decodes it.
    /// </summary>
    public DType DecodedDType { get; init; } = DType.F32;

    /// <summary>
    /// Whether a weight that is another, since the file does not store it, is given too (<see cref="NameMapping.Ties"/>):
    /// right after that other, sharing its memory. Only the built-in maps know of such weights, the output that is tied to the
    /// embedding. Default: true.
    /// </summary>
    public bool IncludeTies { get; init; } = true;
}
