using ILGPU;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Matrices with scales and zero points of their own.</content>
internal sealed partial class IlgpuStream
{
    /// <inheritdoc/>
    public override void Dequantize(in QuantizedView source, in StridedView destination)
    {
        var views = source.Checked(destination);
        var memory = Own(destination.Memory);
        foreach (var view in views.Views)
        {
            _ = Own(view.Memory);
            TensorLayout.CheckWithin(view);
        }

        TensorLayout.CheckWithin(destination);

        if (destination.Shape.ElementCount == 0)
        {
            return;
        }

        if (views.Scheme is BlockScaledScheme blocks)
        {
            Dequantize(views, destination, memory, SchemeBodies.Of(blocks, views), _device.SchemeKernelOf(views.Payload.DType, destination.DType, AreWords(views)), 4, 1);
        }
        else
        {
            var gptq = (GptqScheme)views.Scheme;
            var kernel = _device.SchemeKernelOf(null, destination.DType, AreWords(views));
            Dequantize(views, destination, memory, SchemeBodies.Of(gptq, views), kernel, gptq.NumbersPerWord, SchemeKernels.TileOutputs);
        }
    }

    private void Dequantize<TBody>(
        QuantizedView source, StridedView destination, IlgpuMemory memory, TBody body, SchemeKernel kernel, int pieceValues, int tileRows)
        where TBody : struct
    {
        var (rows, columns) = ((int)destination.Shape[0], destination.Shape[1]);
        var pieces = (int)((columns + pieceValues - 1) / pieceValues);
        var (payload, payloadStart) = ViewOf(source.Payload);
        var (scales, scalesStart) = ViewOf(source.Scales);
        // A kernel takes a view for what is not there as well, and does not look at it.
        var (zeros, zerosStart) = source.ZeroPoints is { } zeroPoints ? ViewOf(zeroPoints) : (payload, 0L);
        var (groups, groupsStart) = source.GroupIndices is { } indices ? ViewOf(indices) : (payload, 0L);
        var views = new SchemeViews(payload, scales, zeros, groups);
        var rowBytes = destination.DType.ByteCount(columns);
        var rowsAtOnce = RowsFor(_device.Limits.Threads, pieces);

        // Stores of several elements need a multiple of their size; a copy of bytes does not.
        var isDirect = destination.ByteOffset % kernel.Alignment == 0;
        var partRows = isDirect ? rows : Math.Min(rows, RowsFor(PartElements, columns));
        for (var firstStored = 0; firstStored < rows; firstStored += partRows)
        {
            var end = (int)Math.Min(rows, (long)firstStored + partRows);
            var length = rowBytes * (end - firstStored);
            var scratch = isDirect ? null : Scratch(ref _decoded, length);
            var room = scratch?.Range(0, length) ?? memory.Range(destination.ByteOffset, length);
            for (long first = firstStored; first < end; first += rowsAtOnce)
            {
                var last = (int)Math.Min(end, first + rowsAtOnce);
                var launch = new SchemeLaunch
                {
                    Threads = checked((int)((last - first + tileRows - 1) / tileRows * tileRows * pieces)),
                    Pieces = pieces,
                    PerRow = new InvariantDivisor(pieces),
                    FirstRow = (int)first,
                    LastRow = last,
                    FirstStored = firstStored,
                    Payload = payloadStart,
                    Scales = scalesStart,
                    Zeros = zerosStart,
                    Groups = groupsStart,
                };
                Launch(() => kernel.Launch(_stream, views, room, body, launch));
            }

            if (scratch is not null)
            {
                CopyBytes(scratch, 0, memory, destination.ByteOffset + (rowBytes * firstStored), length);
            }
        }

        // Whole tiles; a row alone may have more pieces than that.
        int RowsFor(long most, long ofRow) => (int)Math.Clamp(most / ofRow / tileRows * tileRows, tileRows, int.MaxValue / 2);
    }

    // Whether reads of words are enough: each is of a multiple of its size.
    private static bool AreWords(in QuantizedView source)
    {
        foreach (var view in source.Views)
        {
            // The matrix is read four elements at a time, in rows.
            var isPayload = view.Memory == source.Payload.Memory && view.ByteOffset == source.Payload.ByteOffset;
            var unit = isPayload ? 4 : view.DType.BlockSize;
            if (view.ByteOffset % unit != 0 || (isPayload && view.Strides[0] * view.DType.BlockSize % unit != 0))
            {
                return false;
            }
        }

        return true;
    }

    // The whole words that a view's bytes lie in, and where they begin there: memory is always rounded up to them.
    private (ArrayView<byte> View, long Start) ViewOf(in StridedView view)
    {
        var memory = Own(view.Memory);
        var first = view.ByteOffset / IlgpuMemory.Granularity * IlgpuMemory.Granularity;
        long last = 0;
        for (var i = 0; i < view.Shape.Rank; i++)
        {
            last = checked(last + ((view.Shape[i] - 1) * view.Strides[i]));
        }

        return (memory.View.SubView(first, RoundUp(view.ByteOffset + ((last + 1) * view.DType.BlockSize) - first)), view.ByteOffset - first);
    }
}
