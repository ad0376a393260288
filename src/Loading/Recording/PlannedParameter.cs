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
    public bool HasStorage => IsRequired || Sources.Any(source => source.ElementCount > 0 || !source.IsCounted);

    /// <summary>How many of its elements loaders write.</summary>
    public long WrittenElements => Sources.Sum(source => source.ElementCount);

    /// <summary>Whether every element is written, as far as is known (<see cref="ParameterSource.IsCounted"/>).</summary>
    public bool IsFilled => IsWritten || Sources.Any(source => !source.IsCounted);

    /// <summary>Whether an error is due: it is needed and not filled, or optional and filled only in part.</summary>
    public bool IsMissing => !IsFilled && (IsRequired || WrittenElements > 0);

    /// <summary>Whether every element is known to be written; others are set to 0 before.</summary>
    internal bool IsWritten => WrittenElements >= Shape.ElementCount;
}
