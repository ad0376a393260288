using System.Globalization;
using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The header of a checkpoint of any size, and zeros behind it, which take no memory. Safe for any thread.</summary>
internal sealed class HeaderOnlySource : IByteSource
{
    private readonly byte[] _header;

    private HeaderOnlySource(string name, byte[] header, long dataBytes) => (Name, _header, Length) = (name, header, header.Length + dataBytes);

    public string Name { get; }

    public long Length { get; }

    /// <summary>Whether every further read is an exception.</summary>
    public bool IsReadNoMore { get; set; }

    /// <summary>A safetensors file.</summary>
    public static HeaderOnlySource Safetensors(IEnumerable<(string Name, DType DType, Shape Shape)> tensors)
    {
        var entries = new StringBuilder();
        long end = 0;
        foreach (var (name, dtype, shape) in tensors)
        {
            var begin = end;
            end += dtype.ByteCount(shape.ElementCount);
            entries.Append(entries.Length == 0 ? '{' : ',')
                .Append(SafetensorsBuilder.Entry(name, dtype.Name, shape.Dimensions.ToArray().Select(size => (ulong)size), (ulong)begin, (ulong)end));
        }

        return new HeaderOnlySource("published.safetensors", SafetensorsBuilder.File(entries.Append('}').ToString()), end);
    }

    /// <summary>A GGUF file: vectors are F32, and the others F16, as converters write them.</summary>
    public static HeaderOnlySource Gguf(IReadOnlyDictionary<string, object> metadata, IEnumerable<(string Name, Shape Shape)> tensors)
    {
        var builder = new GgufBuilder();
        foreach (var (key, value) in metadata)
        {
            builder.Add(key, value);
        }

        long end = 0;
        foreach (var (name, shape) in tensors)
        {
            // To the alignment of 32.
            var begin = (end + 31) / 32 * 32;
            var type = shape.Rank == 1 ? 0u : 1u;
            end = begin + (shape.ElementCount * (shape.Rank == 1 ? 4 : 2));
            builder.TensorRaw(fields =>
            {
                fields.Text(name).U32((uint)shape.Rank);
                foreach (var size in shape.Dimensions.ToArray().Reverse())
                {
                    fields.Length((ulong)size);
                }

                fields.U32(type).U64((ulong)begin);
            });
        }

        var header = builder.HeaderBytes();
        return new HeaderOnlySource("published.gguf", [.. header, .. new byte[-header.Length & 31]], (end + 31) / 32 * 32);
    }

    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (IsReadNoMore)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{Name} was read at {offset}."));
        }

        var given = destination.Span[..(int)Math.Min(destination.Length, Math.Max(0, Length - offset))];
        given.Clear();
        if (offset < _header.Length)
        {
            var count = (int)Math.Min(given.Length, _header.Length - offset);
            _header.AsSpan((int)offset, count).CopyTo(given);
        }

        return ValueTask.FromResult(given.Length);
    }

    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
