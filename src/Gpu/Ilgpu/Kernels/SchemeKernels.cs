using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Dequantisation with companions: the shared bodies over array views. Explicitly grouped, for the reason given at <see cref="DecodeKernels"/>.</summary>
internal static class SchemeKernels
{
    // Outputs that neighbouring threads of a GPTQ launch have: their words fill a sector of 32 bytes, and four of them side by side store 64 bytes of each output.
    private const int TileShift = 3;

    /// <summary>The outputs of a tile.</summary>
    public const int TileOutputs = 1 << TileShift;

    /// <summary>Four neighbours of a row a thread.</summary>
    /// <param name="payload">The stored matrix.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="zeros">The zero points, or anything.</param>
    /// <param name="destination">Room for the rows from <see cref="SchemeLaunch.FirstStored"/> on; begins on a multiple of a packet.</param>
    /// <param name="body">The scheme.</param>
    /// <param name="launch">What this launch does.</param>
    public static void Blocks<TElement, TReader, TPacket, TTarget, TPacker>(
        ArrayView<byte> payload, ArrayView<byte> scales, ArrayView<byte> zeros, ArrayView<byte> destination, BlockScaledBody body, SchemeLaunch launch)
        where TElement : struct, IElementDecoder
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TTarget : unmanaged
        where TPacker : struct, IPacker<TPacket, TTarget>
    {
        var thread = Threads.Index;
        if (thread >= launch.Threads)
        {
            return;
        }

        var line = launch.PerRow.Divide(thread);
        var column = (thread - (line * launch.Pieces)) * 4;
        var row = launch.FirstRow + line;
        var index = ((row - launch.FirstStored) * (long)body.Columns) + column;
        body.DecodeFour<TElement, TReader, PacketSink<TPacket, TTarget, TPacker>>(
            TReader.Over(payload, launch.Payload),
            TReader.Over(scales, launch.Scales),
            TReader.Over(zeros, launch.Zeros),
            new PacketSink<TPacket, TTarget, TPacker>(destination),
            row,
            column,
            index,
            (body.Columns & 3) == 0 ? 1 : 0);
    }

    /// <summary>A word a thread.</summary>
    /// <inheritdoc cref="Blocks"/>
    /// <param name="payload">The packed numbers.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="zeros">The packed zero points.</param>
    /// <param name="groups">The groups of inputs, or anything.</param>
    /// <param name="destination">Room for the outputs from <see cref="SchemeLaunch.FirstStored"/> on; begins on a multiple of a packet.</param>
    /// <param name="body">The scheme.</param>
    /// <param name="launch">What this launch does.</param>
    public static void Gptq<TReader, TPacket, TTarget, TPacker>(
        ArrayView<byte> payload,
        ArrayView<byte> scales,
        ArrayView<byte> zeros,
        ArrayView<byte> groups,
        ArrayView<byte> destination,
        GptqBody body,
        SchemeLaunch launch)
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TTarget : unmanaged
        where TPacker : struct, IPacker<TPacket, TTarget>
    {
        var thread = Threads.Index;
        if (thread >= launch.Threads)
        {
            return;
        }

        var place = thread >> TileShift;
        var tile = launch.PerRow.Divide(place);
        var word = place - (tile * launch.Pieces);
        var output = launch.FirstRow + (tile << TileShift) + (thread & (TileOutputs - 1));
        if (output >= launch.LastRow)
        {
            return;
        }

        var index = (((output - launch.FirstStored) * (long)launch.Pieces) + word) << body.WordShift;
        body.DecodeWord(
            TReader.Over(payload, launch.Payload),
            TReader.Over(scales, launch.Scales),
            TReader.Over(zeros, launch.Zeros),
            TReader.Over(groups, launch.Groups),
            new PacketSink<TPacket, TTarget, TPacker>(destination),
            output,
            word,
            index);
    }
}
