using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// One tensor of an opened checkpoint: what its header says, validated, before any byte of it is read. Immutable.
/// </summary>
/// <param name="name">The name in the checkpoint, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="dtype">The stored element type.</param>
/// <param name="shape">The logical dimensions, outermost first.</param>
/// <param name="file">The file whose bytes hold the tensor.</param>
/// <param name="offset">Where the tensor's storage begins, in bytes from the start of the file.</param>
/// <param name="byteLength">The size of the storage in bytes.</param>
public sealed class TensorInfo(string name, DType dtype, Shape shape, CheckpointFile file, long offset, long byteLength)
{
    /// <summary>The name in the checkpoint.</summary>
    public string Name { get; } = name;

    /// <summary>The stored element type.</summary>
    public DType DType { get; } = dtype;

    /// <summary>The logical dimensions, outermost first.</summary>
    public Shape Shape { get; } = shape;

    /// <summary>The file whose bytes hold the tensor.</summary>
    public CheckpointFile File { get; } = file;

    /// <summary>Where the storage begins, in bytes from the start of the file; no alignment is promised.</summary>
    public long Offset { get; } = offset;

    /// <summary>
    /// The size of the storage in bytes. Two tensors with the same file, offset and length share one storage.
    /// </summary>
    public long ByteLength { get; } = byteLength;

    /// <summary>
    /// Strides of a view into the storage, one a dimension: in elements, or in blocks for block types. Default (not
    /// initialised) where the storage is exactly this tensor, contiguous and row-major.
    /// </summary>
    public ImmutableArray<long> Strides
    {
        get;
        init
        {
            field = value;
            IsContiguous = value.IsDefault || AreRowMajor(value);
        }
    }

    /// <summary>Where a view begins in its storage: in elements, or in blocks for block types. 0 without a view.</summary>
    public long StorageOffset { get; init; }

    /// <summary>
    /// The name of the tensor of the same file whose storage this one shares as an alias of it, with the same dtype and
    /// shape; null for all others.
    /// </summary>
    public string? TiedTo { get; init; }

    /// <summary>Whether the storage is exactly this tensor, contiguous and row-major.</summary>
    public bool IsWholeStorage => Strides.IsDefault;

    /// <summary>
    /// Whether the elements lie side by side in row-major order, wherever in the storage they begin: one range of bytes,
    /// <see cref="DataByteLength"/> from <see cref="DataOffset"/>. Strides of dimensions of one element do not count.
    /// </summary>
    public bool IsContiguous { get; private init; } = true;

    /// <summary>Where the first element lies, in bytes from the start of the file.</summary>
    public long DataOffset => Offset + (StorageOffset * DType.BlockSize);

    /// <summary>
    /// The size of the elements in bytes when they lie side by side; of a view other than <see cref="ByteLength"/>, which is
    /// the whole storage's.
    /// </summary>
    public long DataByteLength => IsWholeStorage ? ByteLength : DType.ByteCount(ElementCount);

    /// <summary>The number of elements.</summary>
    public long ElementCount => Shape.ElementCount;

    /// <summary>The same tensor under another name, tied to this one.</summary>
    internal TensorInfo WithAlias(string alias) => new(alias, DType, Shape, File, Offset, ByteLength)
    {
        Strides = Strides,
        StorageOffset = StorageOffset,
        TiedTo = Name,
    };

    /// <summary>The same tensor under a shorter name: without what a root stands for.</summary>
    /// <param name="name">The new name.</param>
    /// <param name="tiedTo">The new name of the tensor that it is an alias of; null where it is none.</param>
    internal TensorInfo WithName(string name, string? tiedTo) => new(name, DType, Shape, File, Offset, ByteLength)
    {
        Strides = Strides,
        StorageOffset = StorageOffset,
        TiedTo = tiedTo,
    };

    private bool AreRowMajor(ImmutableArray<long> strides)
    {
        // Strides count blocks, and the last dimension of a block type counts their elements.
        long expected = 1;
        for (var i = Shape.Rank - 1; i >= 0; i--)
        {
            if (Shape[i] != 1 && strides[i] != expected)
            {
                return Shape.ElementCount == 0;
            }

            expected *= i == Shape.Rank - 1 ? Shape[i] / DType.BlockLength : Shape[i];
        }

        return true;
    }

    /// <summary>Name, dtype and shape.</summary>
    public override string ToString() => $"{Name} {DType.Name} {Shape}";
}
