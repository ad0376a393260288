using System.Buffers;
using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a device takes from the staging slots that suit it, page-locked where it wants that, and nothing else.</summary>
internal sealed class UploadYardstick : IDisposable
{
    // Two streams of two slots keep a bus busy: one is copied while the next is begun.
    private const int StreamCount = 2;
    private const int SlotCount = 4;

    private readonly StagingPool _pool;
    private readonly DeviceMemory _memory;
    private readonly List<IMemoryOwner<byte>> _slots = [];
    private readonly List<DeviceStream> _streams = [];
    private readonly int _slotBytes;

    /// <summary>Takes slots and streams.</summary>
    public UploadYardstick(Device device)
    {
        _slotBytes = device.PreferredSlotBytes;
        _pool = device.CreateStagingPool(_slotBytes, SlotCount);
        try
        {
            _memory = device.Allocate((long)_slotBytes * SlotCount);
        }
        catch
        {
            _pool.Dispose();
            throw;
        }

        try
        {
            for (var i = 0; i < SlotCount; i++)
            {
                _slots.Add(_pool.Rent());
                _slots[i].Memory.Span.Fill(1);
            }

            for (var i = 0; i < StreamCount; i++)
            {
                _streams.Add(device.CreateStream());
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Uploads so many bytes.</summary>
    /// <returns>The seconds it took.</returns>
    public double Measure(long bytes, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        for (long done = 0, i = 0; done < bytes; done += _slotBytes, i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A slot keeps its bytes and has its place: nothing is waited for in between.
            var slot = (int)(i % SlotCount);
            var staged = _slots[slot].Memory.Span[..(int)Math.Min(_slotBytes, bytes - done)];
            _streams[slot % StreamCount].Place(staged, DType.U8, _memory, (long)slot * _slotBytes, DType.U8);
        }

        _streams.ForEach(stream => stream.Synchronize());
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Gives all of it back.</summary>
    public void Dispose()
    {
        _streams.ForEach(stream => stream.Dispose());
        _slots.ForEach(slot => slot.Dispose());
        _memory.Dispose();
        _pool.Dispose();
    }
}
