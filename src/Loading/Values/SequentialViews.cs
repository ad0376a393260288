using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Reads views of what can only be read forward, as arrays in Fortran order are that an archive has deflated: what they see is read once
/// into memory and gathered from there, however many pieces it is asked for in. Safe for any thread.
/// </summary>
/// <remarks>
/// Where the elements from a view's first to its last fit the budget, they are read once for all pieces. Larger views are gathered in
/// ranges of row-major order as large as the budget, each at the cost of a pass through the view's storage for each of its boxes
/// (<see cref="StridedBox"/>): of a matrix of 1 GiB, at most twelve passes where pieces alone would take 64. What was read is kept until
/// as many bytes were given out as the view has, until others need the memory, or until the source is no longer used.
/// </remarks>
internal sealed class SequentialViews
{
    /// <summary>
    /// The most bytes that are kept of one source: as many as staging takes by default. One array of nearly every archive is smaller.
    /// </summary>
    public const int DefaultBudgetBytes = 256 << 20;

    // How much is read between two looks at the token.
    private const int ReadBytes = 1 << 20;

    private static readonly ConditionalWeakTable<IByteSource, SequentialViews> Sources = [];

    private readonly Lock _lock = new();

    // In the order of their last use, the one that was used last behind.
    private readonly List<Kept> _kept = [];
    private TaskCompletionSource _given = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Of a view all that it sees, or a range of its row-major order.
    private readonly record struct Key(ElementPlace Place, Shape Shape, long Range);

    /// <summary>The most bytes that are kept, and at least an element.</summary>
    public int BudgetBytes { get; set; } = DefaultBudgetBytes;

    /// <summary>How many bytes are kept now, for tests.</summary>
    public long KeptBytes
    {
        get
        {
            lock (_lock)
            {
                return _kept.Sum(kept => (long)kept.ByteLength);
            }
        }
    }

    /// <summary>What is kept of a source.</summary>
    public static SequentialViews Of(IByteSource source) => Sources.GetValue(source, _ => new SequentialViews());

    /// <summary>Reads stored elements.</summary>
    /// <inheritdoc cref="StridedReader.ReadAsync(TensorInfo, long, Memory{byte}, CancellationToken)"/>
    public async ValueTask ReadAsync(TensorInfo tensor, long firstElement, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var unit = tensor.DType.BlockSize;
        var extent = StorageExtent.Of(tensor);
        if (extent.Length <= BudgetBytes / unit)
        {
            var bytes = (int)extent.Length * unit;
            var kept = await TakeAsync(new Key(ElementPlace.Of(tensor), tensor.Shape, -1), bytes, tensor.DataByteLength, cancellationToken).ConfigureAwait(false);
            var given = 0;
            try
            {
                var memory = await kept.GetAsync(memory => ReadAllAsync(tensor, memory, cancellationToken), cancellationToken).ConfigureAwait(false);
                await StridedReader.ReadAsync(InMemory(tensor, memory), firstElement, destination, cancellationToken).ConfigureAwait(false);
                given = destination.Length;
            }
            finally
            {
                Give(kept, given);
            }

            return;
        }

        var range = BudgetBytes / unit * (long)unit;
        for (var at = firstElement / tensor.DType.BlockLength * unit; !destination.IsEmpty;)
        {
            var (index, skipped) = Math.DivRem(at, range);
            var length = (int)Math.Min(range, tensor.DataByteLength - (index * range));
            var part = (int)Math.Min(destination.Length, length - skipped);
            await ReadRangeAsync(tensor, index, range, length, (int)skipped, destination[..part], cancellationToken).ConfigureAwait(false);
            destination = destination[part..];
            at += part;
        }
    }

    private async ValueTask ReadRangeAsync(
        TensorInfo tensor, long index, long range, int length, int skipped, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var first = index * range / tensor.DType.BlockSize * tensor.DType.BlockLength;
        var kept = await TakeAsync(new Key(ElementPlace.Of(tensor), tensor.Shape, index), length, length, cancellationToken).ConfigureAwait(false);
        var given = 0;
        try
        {
            var memory = await kept.GetAsync(
                memory => StridedReader.ReadAsync(tensor, first, memory, StridedReader.ScratchBytes, ReadCost.Bytes, cancellationToken),
                cancellationToken).ConfigureAwait(false);
            memory.AsMemory(skipped, destination.Length).CopyTo(destination);
            given = destination.Length;
        }
        finally
        {
            Give(kept, given);
        }
    }

    private static async ValueTask ReadAllAsync(TensorInfo tensor, Memory<byte> memory, CancellationToken cancellationToken)
    {
        for (var offset = tensor.DataOffset; !memory.IsEmpty;)
        {
            var part = memory[..Math.Min(ReadBytes, memory.Length)];
            try
            {
                await tensor.File.Source.ReadExactlyAsync(offset, part, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or InvalidCheckpointException { Tensor: null })
            {
                throw ReadFailure.Explain(exception, tensor, offset);
            }

            memory = memory[part.Length..];
            offset += part.Length;
        }
    }

    private static TensorInfo InMemory(TensorInfo tensor, byte[] memory)
    {
        var file = new CheckpointFile(tensor.File.Name, tensor.File.Path, tensor.File.Format, new MemorySource(memory, tensor.File.Path));
        return new TensorInfo(tensor.Name, tensor.DType, tensor.Shape, file, 0, memory.Length) { Strides = tensor.Strides };
    }

    // Finds what is kept under a key, or makes room for it: what nobody reads goes, longest unused first, and where all is read somebody
    // will give it back.
    private async ValueTask<Kept> TakeAsync(Key key, int bytes, long wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task given;
            lock (_lock)
            {
                if (_kept.Find(kept => kept.Key == key) is { } found)
                {
                    found.Users++;
                    return found;
                }

                var used = _kept.Sum(kept => (long)kept.ByteLength);
                for (var i = 0; i < _kept.Count && used > BudgetBytes - bytes;)
                {
                    if (_kept[i].Users > 0)
                    {
                        i++;
                        continue;
                    }

                    used -= _kept[i].ByteLength;
                    _kept.RemoveAt(i);
                }

                if (used <= BudgetBytes - bytes)
                {
                    var kept = new Kept(key, bytes, wanted) { Users = 1 };
                    _kept.Add(kept);
                    return kept;
                }

                given = _given.Task;
            }

            await given.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Give(Kept kept, int bytes)
    {
        TaskCompletionSource given;
        lock (_lock)
        {
            kept.Users--;
            kept.Wanted -= bytes;
            _kept.Remove(kept);
            if (kept.Users > 0 || (kept.Wanted > 0 && kept.IsRead))
            {
                _kept.Add(kept);
            }

            (given, _given) = (_given, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        given.SetResult();
    }

    // One buffer. Users and Wanted are guarded by the lock of all.
    [SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A semaphore holds nothing unless its wait handle is asked for.")]
    private sealed class Kept(Key key, int byteLength, long wanted)
    {
        private readonly SemaphoreSlim _turn = new(1, 1);
        private byte[]? _memory;

        public Key Key => key;

        public int ByteLength => byteLength;

        public int Users { get; set; }

        // Bytes of the view that were not given out yet.
        public long Wanted { get; set; } = wanted;

        public bool IsRead => Volatile.Read(ref _memory) is not null;

        // The first who comes reads; who comes meanwhile waits, and reads himself where the first could not.
        public async ValueTask<byte[]> GetAsync(Func<Memory<byte>, ValueTask> read, CancellationToken cancellationToken)
        {
            if (Volatile.Read(ref _memory) is { } memory)
            {
                return memory;
            }

            await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (_memory is null)
                {
                    var bytes = GC.AllocateUninitializedArray<byte>(byteLength);
                    await read(bytes).ConfigureAwait(false);
                    Volatile.Write(ref _memory, bytes);
                }

                return _memory;
            }
            finally
            {
                _turn.Release();
            }
        }
    }
}
