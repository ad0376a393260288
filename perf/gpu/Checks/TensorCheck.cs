using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>What tensors do on the device beside decoding, held against the same on the host.</summary>
internal sealed class TensorCheck(BenchDevice device)
{
    private static readonly DType[] Types = [DType.U8, DType.I16, DType.F16, DType.BF16, DType.F32, DType.F64, DType.C128, DType.Q4_0, DType.Q4_K];

    // No dimension a multiple of another or of a group; the last has whole blocks.
    private readonly Shape _shape = device.IsSimulator ? new Shape(3, 5, 256) : new Shape(7, 37, 768);

    public async Task<CheckRow> RunAsync()
    {
        var tally = new CheckTally("strided copies, fill, random fill, byte swap, offload and statistics, against the host's");
        foreach (var dtype in Types)
        {
            using var onHost = Tensor.FromValues<byte>(dtype, _shape, StoredBytes.Hard(dtype, (int)(_shape.ElementCount / dtype.BlockLength)));
            Copies(onHost, tally);
            Offload(onHost, tally);
            await StatisticsAsync(onHost, tally).ConfigureAwait(false);
            if (!dtype.IsBlock)
            {
                InPlace(onHost, "byte swap", tensor => tensor.SwapBytes(), tally);
                InPlace(onHost, "fill", tensor => tensor.Fill(1), tally);
            }

            if (Codecs.Targets.Contains(dtype))
            {
                InPlace(onHost, "random fill", tensor => tensor.FillUniform(7, -1, 1), tally);
            }
        }

        return tally.End();
    }

    private void Copies(Tensor onHost, CheckTally tally)
    {
        var dtype = onHost.DType;
        Both(onHost, "narrowed rows", dtype, tensor => tensor.Narrow(1, 1, 3), tally);
        Both(onHost, "narrowed columns", dtype, tensor => tensor.Narrow(2, 256 % _shape[2], Math.Min(256, _shape[2])), tally);
        Both(onHost, "transposed outside", dtype, tensor => tensor.Transpose(0, 1), tally);
        if (!dtype.IsBlock)
        {
            Both(onHost, "odd columns", dtype, tensor => tensor.Narrow(2, 3, 101), tally);
            Both(onHost, "transposed inside", dtype, tensor => tensor.Transpose(1, 2), tally);
            Both(onHost, "transposed ends", dtype, tensor => tensor.Transpose(0, 2), tally);
        }

        if (dtype == DType.C128)
        {
            return;
        }

        foreach (var target in new[] { DType.F32, DType.BF16 }.Where(target => target != dtype))
        {
            Both(onHost, $"narrowed rows to {target.Name}", target, tensor => tensor.Narrow(1, 1, 3), tally);
            Both(onHost, $"transposed to {target.Name}", target, tensor => tensor.Transpose(0, 1), tally);
        }
    }

    // A view of a tensor, copied to where its elements lie side by side.
    private void Both(Tensor onHost, string name, DType target, Func<Tensor, Tensor> view, CheckTally tally)
    {
        using var there = onHost.To(device.Device);
        using var expectedView = view(onHost);
        using var actualView = view(there);
        using var expected = expectedView.To(target);
        using var actual = actualView.To(target);
        TensorComparison.Compare($"{onHost.DType.Name}: {name}", expected, actual, tally);
    }

    // Some rows of a tensor first: what lies around them stays as it was.
    private void InPlace(Tensor onHost, string name, Action<Tensor> change, CheckTally tally)
    {
        using var expected = onHost.To(onHost.DType);
        using var actual = onHost.To(device.Device);
        using (var expectedPart = expected.Narrow(1, 2, 2))
        using (var actualPart = actual.Narrow(1, 2, 2))
        {
            change(expectedPart);
            change(actualPart);
        }

        TensorComparison.Compare($"{onHost.DType.Name}: {name} of some rows", expected, actual, tally);
        change(expected);
        change(actual);
        TensorComparison.Compare($"{onHost.DType.Name}: {name}", expected, actual, tally);
    }

    // Every number of them, the doubles to their last bit.
    private async Task StatisticsAsync(Tensor onHost, CheckTally tally)
    {
        using var there = onHost.To(device.Device);
        var expected = await LoadedStatistics.ComputeAsync(onHost).ConfigureAwait(false);
        var actual = await LoadedStatistics.ComputeAsync(there).ConfigureAwait(false);
        if (expected == actual)
        {
            tally.Pass();
        }
        else
        {
            tally.Fail($"{onHost.DType.Name}: statistics: expected {expected}, found {actual}");
        }
    }

    private void Offload(Tensor onHost, CheckTally tally)
    {
        using var there = onHost.To(device.Device);
        using var offloaded = there.Offload();
        using var back = offloaded.To(device.Device);
        TensorComparison.Compare($"{onHost.DType.Name}: offloaded and brought back", onHost, back, tally);
    }
}
