using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// How the tensor of a checkpoint is made from the GGUF tensor that holds it. Immutable, compared by value and safe for any
/// thread. Shapes are row-major, outermost first, on both sides.
/// </summary>
/// <remarks>
/// The permutation is the one of llama.cpp's converter for models of its architecture <c>llama</c>: transformers keeps the
/// rows of a query or key head as two halves that rotate together, ggml's rotation takes neighbouring rows. With <c>d</c> rows a
/// head, the checkpoint's row <c>i</c> of the first half is the GGUF's row <c>2i</c> of that head, and row <c>d/2 + i</c> is row <c>2i + 1</c>.
/// Rows stay whole, so quantised ones are moved as they are.
/// </remarks>
public sealed partial record WeightTransform
{
    private WeightTransform(WeightTransformKind kind, long heads = 0, long start = 0, long count = 0) =>
        (Kind, Heads, Start, Count) = (kind, heads, start, count);

    /// <summary>The tensor as it is.</summary>
    public static WeightTransform None { get; } = new(WeightTransformKind.None);

    /// <summary>One is subtracted from every value: Gemma's norms are stored with one added.</summary>
    public static WeightTransform MinusOne { get; } = new(WeightTransformKind.MinusOne);

    /// <summary>The two dimensions exchanged: GPT-2's checkpoints have [inputs, outputs].</summary>
    public static WeightTransform Transpose { get; } = new(WeightTransformKind.Transpose);

    /// <summary>What is done.</summary>
    public WeightTransformKind Kind { get; }

    /// <summary>The heads whose rows are moved, each on its own; 0 for the other kinds.</summary>
    public long Heads { get; }

    /// <summary>The first row taken, or the index of the expert; 0 for the other kinds.</summary>
    public long Start { get; }

    /// <summary>How many rows are taken, or how many experts the GGUF tensor holds; 0 for the other kinds.</summary>
    public long Count { get; }

    /// <summary>Whether this takes a part of the GGUF tensor, which several tensors of the checkpoint share.</summary>
    public bool IsPart => Kind is WeightTransformKind.Rows or WeightTransformKind.Expert;

    /// <summary>
    /// What makes the GGUF tensor from the checkpoint's; null for a part, whose way back is its place in the GGUF tensor
    /// (<see cref="Start"/>).
    /// </summary>
    public WeightTransform? Inverse => Kind switch
    {
        WeightTransformKind.Unpermute => new(WeightTransformKind.Permute, Heads),
        WeightTransformKind.Permute => new(WeightTransformKind.Unpermute, Heads),
        WeightTransformKind.MinusOne => new(WeightTransformKind.PlusOne),
        WeightTransformKind.PlusOne => MinusOne,
        _ => IsPart ? null : this,
    };

    /// <summary>The rows of each head, stored as pairs, become two halves.</summary>
    /// <param name="heads">The query heads for a query projection, the key and value heads for a key projection.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no head.</exception>
    public static WeightTransform Unpermute(long heads)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(heads);
        return new(WeightTransformKind.Unpermute, heads);
    }

    /// <summary>Some rows: one GGUF tensor holds several of the checkpoint one below the other.</summary>
    /// <param name="start">The first row.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">The start is negative, or there is no row.</exception>
    public static WeightTransform Rows(long start, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, long.MaxValue - start);
        return new(WeightTransformKind.Rows, start: start, count: count);
    }

    /// <summary>One expert of a GGUF tensor that holds all of a layer, [experts, …].</summary>
    /// <param name="index">Which.</param>
    /// <param name="count">How many the GGUF tensor holds.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such expert.</exception>
    public static WeightTransform Expert(long index, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, count);
        return new(WeightTransformKind.Expert, start: index, count: count);
    }

    /// <summary>The shape of the checkpoint's tensor.</summary>
    /// <param name="source">The shape of the GGUF tensor.</param>
    /// <exception cref="ArgumentException">A tensor of that shape cannot be transformed so; the message says why.</exception>
    public Shape ShapeOf(Shape source)
    {
        switch (Kind)
        {
            case WeightTransformKind.Unpermute or WeightTransformKind.Permute:
                Require(
                    source.Rank > 0 && source[0] % Heads == 0 && source[0] / Heads % 2 == 0, source, $"its rows are not {Heads} heads of an even number of rows");
                return source;
            case WeightTransformKind.Transpose:
                Require(source.Rank == 2, source, "it is no matrix");
                return new Shape(source[1], source[0]);
            case WeightTransformKind.Rows:
                Require(source.Rank > 0 && Start + Count <= source[0], source, $"it has no rows {Start} to {Start + Count}");
                return source.With(0, Count);
            case WeightTransformKind.Expert:
                Require(source.Rank > 1 && source[0] == Count, source, $"its first dimension is not {Count} experts");
                return new Shape(source.Dimensions[1..]);
            default:
                return source;
        }
    }

    /// <summary>The shape of the GGUF tensor; null for <see cref="WeightTransformKind.Rows"/>, which do not tell how many there are.</summary>
    /// <param name="result">The shape of the checkpoint's tensor.</param>
    /// <exception cref="ArgumentException">No tensor of that shape is the result.</exception>
    /// <exception cref="OverflowException">The GGUF tensor would have more elements than a <see cref="long"/> counts.</exception>
    public Shape? SourceShapeOf(Shape result) =>
        Inverse is { } inverse ? inverse.ShapeOf(result)
        : Kind == WeightTransformKind.Expert ? new Shape([Count, .. result.Dimensions])
        : null;

    /// <summary>The words of a map's file, such as <c>unpermute(32)</c> or <c>rows(4096, 1024)</c>.</summary>
    public override string ToString() => Kind switch
    {
        WeightTransformKind.None => "none",
        WeightTransformKind.Unpermute => $"unpermute({Heads})",
        WeightTransformKind.Permute => $"permute({Heads})",
        WeightTransformKind.MinusOne => "minus one",
        WeightTransformKind.PlusOne => "plus one",
        WeightTransformKind.Transpose => "transpose",
        WeightTransformKind.Rows => $"rows({Start}, {Count})",
        _ => $"expert({Start} of {Count})",
    };

    private void Require(bool fits, Shape source, string problem)
    {
        if (!fits)
        {
            throw new ArgumentException($"The transform {this} does not fit a tensor of shape {source}: {problem}.", nameof(source));
        }
    }
}
