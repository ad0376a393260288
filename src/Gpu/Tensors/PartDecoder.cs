using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Decodes a part of a tensor that begins or ends inside a group of elements (a byte of F4, three of F6, a block): whole
/// groups straight into the copy, the groups that the part cuts through a temporary of bounded size.
/// </summary>
internal sealed class PartDecoder(Tensor source, Tensor copy) : IDisposable
{
    // Elements of a temporary: enough that a launch on a device is worth it, and 8 MiB at most (F64).
    private const long TemporaryElements = 1L << 20;

    private readonly DeviceStream _stream = source.Device.CreateStream();
    private readonly int _group = source.DType.BlockLength;

    /// <summary>Decodes a part of the last dimension; the rows are whole groups.</summary>
    /// <param name="start">The first index of the part, whose length is the copy's.</param>
    public void DecodeColumns(long start)
    {
        if (copy.ElementCount > 0)
        {
            DecodeColumns(source, copy, start);
        }
    }

    /// <summary>Decodes a part of any dimension of a contiguous tensor, whose rows may begin and end anywhere.</summary>
    /// <param name="dimension">The dimension.</param>
    /// <param name="start">The first index of the part, whose length is the copy's.</param>
    public void DecodeFlat(int dimension, long start)
    {
        if (copy.ElementCount == 0)
        {
            return;
        }

        long outer = 1;
        for (var i = 0; i < dimension; i++)
        {
            outer *= source.Shape[i];
        }

        var slab = source.ElementCount / outer;
        var inner = slab / source.Shape[dimension];
        var part = copy.Shape[dimension] * inner;
        using var flat = source.View(source.ElementCount);
        using var rows = copy.View(outer, part);

        // Slabs that are small share a temporary; of a large one only the part is decoded, most of it in place.
        var together = Math.Max(0, (TemporaryElements / slab) - 1);
        for (long done = 0; done < outer;)
        {
            var count = Math.Min(together, outer - done);
            if (count > 0)
            {
                using var several = rows.Narrow(0, done, count);
                DecodeRows(flat, several, done * slab, slab, start * inner);
                done += count;
            }
            else
            {
                using var one = rows.Select(0, done);
                DecodeColumns(flat, one, (done * slab) + (start * inner));
                done++;
            }
        }
    }

    /// <summary>Ends the stream; what was asked for is done.</summary>
    public void Dispose() => _stream.Dispose();

    // Some rows of a flat tensor, and the same part of each into its row.
    private void DecodeRows(Tensor flat, Tensor into, long first, long rowLength, long start)
    {
        var begin = first / _group * _group;
        var end = Math.Min(flat.ElementCount, RoundUp(first + (into.Shape[0] * rowLength)));
        using var stored = flat.Narrow(0, begin, end - begin);
        using var decoded = stored.To(into.DType);
        using var within = decoded.Narrow(0, first - begin, into.Shape[0] * rowLength);
        using var asRows = within.View(into.Shape[0], rowLength);
        using var part = asRows.Narrow(1, start, into.Shape[1]);
        Copy(part, into);
    }

    // The last dimension from a start on: the group cut at the beginning, whole groups, the group cut at the end.
    private void DecodeColumns(Tensor from, Tensor into, long start)
    {
        var last = into.Shape.Rank - 1;
        var length = into.Shape[last];
        var firstWhole = Math.Min(RoundUp(start), start + length);
        var lastWhole = Math.Max(firstWhole, (start + length) / _group * _group);
        if (lastWhole > firstWhole)
        {
            using var whole = from.Narrow(last, firstWhole, lastWhole - firstWhole);
            using var middle = into.Narrow(last, firstWhole - start, lastWhole - firstWhole);
            Copy(whole, middle);
        }

        DecodeCut(from, into, start, 0, firstWhole - start);
        DecodeCut(from, into, start, lastWhole - start, start + length - lastWhole);
    }

    // The part of one group in each row.
    private void DecodeCut(Tensor from, Tensor into, long start, long offset, long length)
    {
        if (length == 0)
        {
            return;
        }

        var last = into.Shape.Rank - 1;
        var group = (start + offset) / _group * _group;
        using var stored = from.Narrow(last, group, _group);
        using var part = into.Narrow(last, offset, length);
        DecodeCutRows(stored, part, start + offset - group);
    }

    // Halves the rows until they fit a temporary: the first dimension that has more than one is enough, as it is the outermost.
    private void DecodeCutRows(Tensor stored, Tensor into, long offset)
    {
        var outermost = 0;
        while (outermost < stored.Shape.Rank - 1 && stored.Shape[outermost] == 1)
        {
            outermost++;
        }

        if (stored.ElementCount > TemporaryElements && outermost < stored.Shape.Rank - 1)
        {
            var half = stored.Shape[outermost] / 2;
            for (var part = 0; part < 2; part++)
            {
                var (first, count) = part == 0 ? (0, half) : (half, stored.Shape[outermost] - half);
                using var rows = stored.Narrow(outermost, first, count);
                using var target = into.Narrow(outermost, first, count);
                DecodeCutRows(rows, target, offset);
            }

            return;
        }

        using var decoded = stored.To(into.DType);
        using var wanted = decoded.Narrow(stored.Shape.Rank - 1, offset, into.Shape[into.Shape.Rank - 1]);
        Copy(wanted, into);
    }

    // Waits, since a temporary is given back right behind it.
    private void Copy(Tensor from, Tensor to)
    {
        _stream.Copy(from.AsStridedView(), to.AsStridedView());
        _stream.Synchronize();
    }

    private long RoundUp(long elements) => checked(elements + _group - 1) / _group * _group;
}
