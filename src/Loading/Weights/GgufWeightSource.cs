using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A GGUF tensor and the weights that are made from it. Immutable.</summary>
internal sealed class GgufWeightSource
{
    /// <summary>Says what a tensor must be loaded as so that all of its weights can be made.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="weights">Its weights, at least one.</param>
    public GgufWeightSource(TensorInfo tensor, ImmutableArray<MappedWeight> weights)
    {
        Tensor = tensor;
        Weights = weights;
        // What was converted on its way in and then changed would be rounded twice.
        IsConvertedLate = weights.Any(weight => weight.Transform.ChangesValues || weight.DType != weights[0].DType);
        DType = IsConvertedLate ? tensor.DType : weights[0].DType;
    }

    /// <summary>The tensor.</summary>
    public TensorInfo Tensor { get; }

    /// <summary>The weights, in the order in which they are given.</summary>
    public ImmutableArray<MappedWeight> Weights { get; }

    /// <summary>The type that it is loaded as.</summary>
    public DType DType { get; }

    /// <summary>Whether making the weights computes values, which is done on the host.</summary>
    public bool IsConvertedLate { get; }

    /// <summary>Makes a weight from the loaded tensor.</summary>
    /// <returns>A contiguous tensor, which may be a view of the loaded one; the caller's to dispose.</returns>
    public static Tensor Make(MappedWeight weight, Tensor loaded, Device device)
    {
        var made = weight.Transform.Apply(loaded, weight.DType);
        if (made.IsContiguous && ReferenceEquals(made.Device, device))
        {
            return made;
        }

        using (made)
        {
            return made.To(device);
        }
    }
}
