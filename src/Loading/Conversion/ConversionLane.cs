using System.Buffers;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One reader that is its own writer: reads a piece into a slot, has the device convert it, and writes the result, while
/// both are in its core's cache. Lanes side by side overlap the three; what is kept as it is goes from the slot to the file.
/// </summary>
internal sealed class ConversionLane : IDisposable
{
    private readonly Device _device;
    private readonly DeviceStream _stream;
    private readonly StagingPool? _pool;
    private readonly IMemoryOwner<byte>? _slot;
    private readonly HostMemory? _converted;
    private readonly DeviceMemory? _onDevice;

    /// <summary>Takes the lane's memory.</summary>
    /// <exception cref="DeviceMemoryException">Host or device has not enough memory.</exception>
    public ConversionLane(Device device, ConversionLayout layout)
    {
        _device = device;
        _stream = device.CreateStream();
        try
        {
            _pool = device.CreateStagingPool(layout.SlotBytes, 1);
            _slot = _pool.Rent();
            if (layout.ConvertedBytes > 0)
            {
                _converted = (HostMemory)(device as HostDevice ?? HostDevice.Shared).Allocate(layout.ConvertedBytes);
                _onDevice = device.IsHost ? null : device.Allocate(layout.ConvertedBytes);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Converts pieces until there are no more.</summary>
    /// <param name="pieces">The pieces, shared with the other lanes.</param>
    /// <param name="writer">The file they go to.</param>
    /// <param name="written">Told about each piece that is written, and how many of its values were beyond their new dtype.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="IOException">A read or a write failed; the message names tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">A file is not what it was when it was opened.</exception>
    public async Task RunAsync(PieceQueue pieces, ITensorWriter writer, Action<Piece, long> written, CancellationToken cancellationToken)
    {
        while (pieces.TryTake(out var piece))
        {
            cancellationToken.ThrowIfCancellationRequested();
            long overflows = 0;
            if (piece.ByteLength > 0)
            {
                var stored = _slot!.Memory[..piece.ByteLength];
                await TensorPieces.ReadAsync(piece.Tensor.Source, piece.FirstElement, stored, cancellationToken).ConfigureAwait(false);
                if (piece.Tensor.IsConverted)
                {
                    await ConvertAsync(piece, stored, cancellationToken).ConfigureAwait(false);
                    var converted = _converted!.AsSpan(0, piece.OutputLength);
                    if (piece.Tensor.KeptElements > 0)
                    {
                        // What overflows among the neighbours of a share is not the share's.
                        GroupedRows.ClearOthers(piece, converted);
                    }

                    overflows = OverflowCounter.Count(stored.Span, piece.Tensor.Source.DType, converted, piece.Tensor.DType);
                    Write(writer, piece, piece.Tensor.KeptElements > 0 ? GroupedRows.Join(piece, converted) : converted);
                }
                else
                {
                    Write(writer, piece, stored.Span);
                }
            }

            written(piece, overflows);
        }
    }

    /// <summary>Gives the lane's memory back; nothing of it runs any more.</summary>
    public void Dispose()
    {
        try
        {
            // What the device may still read or write is done before its memory goes.
            _stream.Synchronize();
        }
        finally
        {
            _onDevice?.Dispose();
            _converted?.Dispose();
            _slot?.Dispose();
            _pool?.Dispose();
            _stream.Dispose();
        }
    }

    private async ValueTask ConvertAsync(Piece piece, ReadOnlyMemory<byte> stored, CancellationToken cancellationToken)
    {
        _stream.Place(stored.Span, piece.Tensor.Source.DType, _onDevice ?? _converted!, 0, piece.Tensor.DType);
        if (_onDevice is not null)
        {
            // As bytes: the values are converted already, and a piece may hold any number of them.
            _stream.Copy(Bytes(_onDevice, piece.OutputLength), Bytes(_converted!, piece.OutputLength));
        }

        if (!_device.IsHost)
        {
            await _stream.Record().WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static StridedView Bytes(DeviceMemory memory, int length) => new(memory, DType.U8, new Shape(length), [1], 0);

    private static void Write(ITensorWriter writer, Piece piece, ReadOnlySpan<byte> bytes)
    {
        try
        {
            writer.Write(piece.Tensor.Name, piece.OutputOffset, bytes);
        }
        catch (IOException exception)
        {
            throw new IOException(
                $"{writer.Path}: tensor {Quoted.Name(piece.Tensor.Name)} could not be written at its byte {piece.OutputOffset}: {exception.Message}",
                exception);
        }
    }
}
