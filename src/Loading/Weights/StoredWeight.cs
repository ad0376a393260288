using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What a weight is whose values are not read yet: a tensor of a checkpoint, and what makes the weight of it. All views of the weight share it. Not safe for several threads.
/// </summary>
/// <param name="info">The tensor; its checkpoint stays open.</param>
/// <param name="transform">What makes the weight of it.</param>
/// <param name="options">How parts are read that are asked for by themselves.</param>
internal sealed class StoredWeight(TensorInfo info, WeightTransform transform, LoadOptions options)
{
    // Values that were brought, by the part that they are of. They are not owned.
    private readonly Dictionary<WeightPart, Tensor> _values = [];

    /// <summary>The tensor.</summary>
    public TensorInfo Info { get; } = info;

    /// <summary>What makes the weight of it.</summary>
    public WeightTransform Transform { get; } = transform;

    /// <summary>How parts are read that are asked for by themselves.</summary>
    public LoadOptions Options { get; } = options;

    /// <summary>Makes the meta tensor that views are made of: of the stored tensor, with the part of the transform that is a view.</summary>
    public Tensor MakeView()
    {
        using var whole = MakeWhole();
        return Transform.Kind switch
        {
            WeightTransformKind.Transpose => whole.Transpose(0, 1),
            WeightTransformKind.Rows => whole.Narrow(0, Transform.Start, Transform.Count),
            WeightTransformKind.Expert => whole.Select(0, Transform.Start),
            _ => whole.On(whole.Device),
        };
    }

    /// <summary>Gives the values of a part; they stay the caller's, and must be there while the weight is used.</summary>
    public void Provide(WeightPart part, Tensor values) => _values[part] = values;

    /// <summary>Finds the values of a part.</summary>
    public bool TryFind(WeightPart part, [NotNullWhen(true)] out Tensor? values) => _values.TryGetValue(part, out values);

    /// <summary>Forgets all values.</summary>
    public void Forget() => _values.Clear();

    // Elements that share bytes have views inside them only once they are decoded, as they are on their way in: as what does not matter here.
    private Tensor MakeWhole()
    {
        if (Info.DType.BlockLength != 1)
        {
            return Tensor.Empty(DType.F32, Info.Shape, MetaDevice.Shared);
        }

        using var memory = MetaDevice.Shared.Allocate(Info.IsWholeStorage ? Info.DType.ByteCount(Info.ElementCount) : Info.ByteLength);
        return new Tensor(memory, Info.DType, Info.Shape, Info.Strides, checked(Info.StorageOffset * Info.DType.BlockSize));
    }
}
