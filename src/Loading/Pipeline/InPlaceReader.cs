using System.Buffers;
using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Brings runs of one lane straight into the host's memory. Direct reads need aligned addresses: where a tensor and its place in the
/// file agree, whole blocks go there without a copy, all else through a slot of the lane.
/// </summary>
/// <param name="session">The load.</param>
/// <param name="destinations">The tensors.</param>
/// <param name="hasher">What the lane hashes with; null where nothing is.</param>
/// <param name="rent">Gives a slot, which ends with its disposal.</param>
internal sealed class InPlaceReader(
    LoadSession session, IDestinations destinations, RunHasher? hasher, Func<CancellationToken, ValueTask<IMemoryOwner<byte>>> rent)
{
    // Fresh pages are made present this far ahead of what fills them: far enough to be one call for many pages, near enough for the
    // zeroed page to be in the cache still.
    private const int TouchAheadBytes = 2 << 20;

    /// <summary>Reads a run.</summary>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced.</exception>
    public ValueTask ReadAsync(ReadRun run, CancellationToken cancellationToken)
    {
        var placement = session.Plan.Placements[run.FirstPlacement];
        var tensor = destinations[placement.Destination];
        var place = new PlaceInMemory((HostMemory)tensor.Memory, tensor.ByteOffset + placement.DestinationOffset, placement.Destination);
        return session.Plan.DirectFileOf(run) is { RefusesDirect: false } file
            ? ReadDirectAsync(file, run, place, cancellationToken)
            : ReadThroughCacheAsync(run, place, cancellationToken);
    }

    private async ValueTask ReadThroughCacheAsync(ReadRun run, PlaceInMemory place, CancellationToken cancellationToken)
    {
        var source = session.Files.SourceOf(run.File);
        // What comes from another machine is a request each time, and never faster than pages are zeroed.
        var step = source.FindRemote() is { } remote ? Math.Max(TouchAheadBytes, remote.PreferredReadBytes) : TouchAheadBytes;
        for (var done = 0; done < run.ByteLength; done += step)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = Math.Min(step, run.ByteLength - done);
            var (memory, position) = (place.Memory, place.Position + done);
            session.Clock.AddFirstTouch(memory.Populate(position, length));
            var started = Stopwatch.GetTimestamp();
            if (source is ISynchronousByteSource synchronous)
            {
                synchronous.ReadExactly(run.Offset + done, memory.AsSpan(position, length));
            }
            else
            {
                await source.ReadExactlyAsync(run.Offset + done, memory.AsMemory(position, length), cancellationToken).ConfigureAwait(false);
            }

            session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
            Hash(place.Destination, memory.AsSpan(position, length));
        }
    }

    private async ValueTask ReadDirectAsync(LocalFileSource file, ReadRun run, PlaceInMemory place, CancellationToken cancellationToken)
    {
        var alignment = session.Plan.FileModes[run.File].Alignment!.Value;
        using var slot = await rent(cancellationToken).ConfigureAwait(false);
        for (var done = 0; done < run.ByteLength;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (offset, rest) = (run.Offset + done, run.ByteLength - done);
            var position = place.Position + done;
            var agrees = alignment.Agrees(place.Memory.Address + (nint)position, offset);
            var blocks = (int)alignment.Floor(rest);
            int length;
            if (agrees && blocks > 0 && alignment.Floor(offset) == offset)
            {
                length = blocks;
                session.Clock.AddFirstTouch(place.Memory.Populate(position, length));
                var started = Stopwatch.GetTimestamp();
                _ = file.ReadExactlyDirect(offset, length, place.Memory.AsSpan(position, length));
                session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
                Hash(place.Destination, place.Memory.AsSpan(position, length));
            }
            else
            {
                // As far as the slot goes, or to where blocks fit into place; up to the end of a block, so that none is read twice.
                var end = agrees ? alignment.Ceiling(offset + 1) : alignment.Floor(offset + slot.Memory.Length - alignment.Margin);
                length = (int)Math.Min(rest, end - offset);
                var started = Stopwatch.GetTimestamp();
                var begin = file.ReadExactlyDirect(offset, length, slot.Memory.Span);
                session.Clock.AddReading(Stopwatch.GetElapsedTime(started));
                Copy(slot.Memory.Span.Slice(begin, length), place with { Position = position });
            }

            done += length;
        }

        session.CountDirect(file, run.ByteLength);
    }

    private void Copy(ReadOnlySpan<byte> bytes, PlaceInMemory place)
    {
        while (!bytes.IsEmpty)
        {
            var part = bytes[..Math.Min(TouchAheadBytes, bytes.Length)];
            session.Clock.AddFirstTouch(place.Memory.Populate(place.Position, part.Length));
            var started = Stopwatch.GetTimestamp();
            var copied = place.Memory.AsSpan(place.Position, part.Length);
            part.CopyTo(copied);
            session.Clock.AddPlacing(Stopwatch.GetElapsedTime(started));
            Hash(place.Destination, copied);
            place = place with { Position = place.Position + part.Length };
            bytes = bytes[part.Length..];
        }
    }

    private void Hash(int destination, ReadOnlySpan<byte> bytes)
    {
        if (hasher is not null)
        {
            var started = Stopwatch.GetTimestamp();
            hasher.Append(destination, bytes);
            session.Clock.AddHashing(Stopwatch.GetElapsedTime(started));
        }
    }

    // Where bytes of a destination go.
    private readonly record struct PlaceInMemory(HostMemory Memory, long Position, int Destination);
}
