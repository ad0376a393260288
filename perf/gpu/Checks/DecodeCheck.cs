using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Every codec to every target on the device, held against the scalar body on the host, bit for bit.</summary>
internal sealed class DecodeCheck(BenchDevice device)
{
    private const byte Guard = 0xA5;

    // What weights are decoded to; the readers for odd offsets are held against these.
    private static readonly DType[] Common = [DType.F32, DType.F16, DType.BF16];

    private readonly Device _device = device.Device;

    // The simulator takes a microsecond a thread; elsewhere there are more threads than a group has.
    private readonly int _units = device.IsSimulator ? 37 : 301;

    public CheckRow Run(TextWriter log)
    {
        var tally = new CheckTally("each codec to each target: aligned and odd places, odd lengths, odd offsets of the stored bytes");
        foreach (var codec in Codecs.All)
        {
            log.WriteLine($"  {codec.DType.Name}");
            foreach (var target in Codecs.Targets)
            {
                try
                {
                    Check(codec, target, tally);
                }
                catch (DeviceFailureException exception)
                {
                    tally.Fail(exception.Message);
                }
            }
        }

        return tally.End();
    }

    private void Check(Codec codec, DType target, CheckTally tally)
    {
        var stored = codec.DType;
        var isHalf = stored.BlockSize == 2 && !stored.IsBlock;
        var groups = (isHalf && !device.IsSimulator ? 0x1_0000 : Math.Max(3, _units * 32 / stored.BlockLength)) + 5;
        var bytes = StoredBytes.Hard(stored, groups);
        var expected = Decode(codec, bytes, target);
        foreach (var offset in new[] { 256, 256 + target.BlockSize })
        {
            Place(codec, target, bytes, expected, offset, tally);
        }

        if (!Common.Contains(target))
        {
            return;
        }

        for (var few = 0; few <= 9; few++)
        {
            var part = bytes.AsSpan(0, few * stored.BlockSize);
            Place(codec, target, part, Decode(codec, part, target), 8, tally);
        }

        // Complex elements are pairs, which a copy of elements does not make.
        if (codec.ValuesPerElement == 1 && codec.DType != target)
        {
            CopyFromOdd(codec, target, bytes, expected, tally);
        }
    }

    private void Place(Codec codec, DType target, ReadOnlySpan<byte> bytes, byte[] expected, int offset, CheckTally tally)
    {
        var room = new byte[offset + expected.Length + 33];
        room.AsSpan().Fill(Guard);
        using var memory = _device.Allocate(room.Length);
        DeviceBytes.Put(memory, room);
        using (var pool = _device.CreateStagingPool(Math.Max(bytes.Length, 1), 1))
        using (var slot = pool.Rent())
        using (var stream = _device.CreateStream())
        {
            bytes.CopyTo(slot.Memory.Span);
            stream.Place(slot.Memory.Span[..bytes.Length], codec.DType, memory, offset, target);
            stream.Synchronize();
        }

        expected.CopyTo(room.AsSpan(offset));
        tally.Compare($"{codec.DType.Name} to {target.Name}, {bytes.Length} bytes placed at {offset}", room, DeviceBytes.Get(memory));
    }

    // Stored bytes that begin one element further each time, as those of a view do.
    private void CopyFromOdd(Codec codec, DType target, byte[] bytes, byte[] expected, CheckTally tally)
    {
        var stored = codec.DType;
        using var source = _device.Allocate(bytes.Length);
        DeviceBytes.Put(source, bytes);
        for (var skipped = 1; skipped <= 3; skipped++)
        {
            var groups = (bytes.Length / stored.BlockSize) - skipped;
            var elements = (long)groups * stored.BlockLength;
            var wanted = expected.AsSpan(skipped * stored.BlockLength * target.BlockSize);
            using var memory = _device.Allocate(wanted.Length);
            using (var stream = _device.CreateStream())
            {
                var from = new StridedView(source, stored, new Shape(elements), [1], (long)skipped * stored.BlockSize);
                stream.Copy(from, DeviceBytes.View(memory, target, elements));
                stream.Synchronize();
            }

            tally.Compare($"{stored.Name} to {target.Name}, copied from byte {skipped * stored.BlockSize}", wanted, DeviceBytes.Get(memory));
        }
    }

    private static byte[] Decode(Codec codec, ReadOnlySpan<byte> bytes, DType target)
    {
        var decoded = new byte[target.ByteCount((long)bytes.Length / codec.DType.BlockSize * codec.DType.BlockLength * codec.ValuesPerElement)];
        codec.DecodeScalar(bytes, decoded, target);
        return decoded;
    }
}
