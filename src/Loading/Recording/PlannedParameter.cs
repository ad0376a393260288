using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A parameter of a model, and what fills it. Immutable.</summary>
/// <param name="Name">Its full name in the model.</param>
/// <param name="DType">Its dtype.</param>
/// <param name="Shape">Its dimensions on this rank.</param>
/// <param name="Sources">The weights that go into it, in the order of the checkpoint.</param>
/// <param name="IsRequired">Whether a checkpoint without it is incomplete.</param>
public sealed record PlannedParameter(string Name, DType DType, Shape Shape, ImmutableArray<ParameterSource> Sources, bool IsRequired)
{
    /// <summary>Its size in bytes on this rank; 0 where it gets no storage.</summary>
    public long ByteLength => HasStorage ? DType.ByteCount(Shape.ElementCount) : 0;

    /// <summary>Whether it gets storage: not where it is optional and nothing goes into it, so that it stays on the meta device.</summary>
    public bool HasStorage => IsRequired || !Sources.IsEmpty;

    /// <summary>How many of its elements loaders write.</summary>
    public long WrittenElements => Sources.Sum(source => source.ElementCount);

    /// <summary>Whether every element is written.</summary>
    public bool IsFilled => WrittenElements >= Shape.ElementCount;
}
