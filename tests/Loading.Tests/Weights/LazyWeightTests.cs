using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LazyWeightTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task MaterializeAsync_AnyView_IsThatViewOfTheTensor(bool onDevice)
    {
        var sample = Sample.Make(3, ("t", DType.F16, [6, 10, 4]));
        using var whole = Tensor.FromValues<byte>(DType.F16, new Shape(6, 10, 4), sample.Tensors["t"]);
        await using var checkpoint = await sample.OpenAsync(source => new ShortReadSource(source));
        Device device = onDevice ? new LateDevice() : new HostDevice();
        (Func<Weight, Weight> Lazy, Func<Tensor, Tensor> Here)[] views =
        [
            (weight => weight, tensor => tensor.Narrow(0, 0, 6)),
            (weight => weight.Narrow(0, 2, 3), tensor => tensor.Narrow(0, 2, 3)),
            (weight => weight.Narrow(-1, 1, 2), tensor => tensor.Narrow(2, 1, 2)),
            (weight => weight.Select(1, 7), tensor => tensor.Select(1, 7)),
            (weight => weight.Transpose(0, 2), tensor => tensor.Transpose(0, 2)),
            (weight => weight.View(60, 4).Narrow(0, 5, 50).Transpose(0, 1), tensor => tensor.View(60, 4).Narrow(0, 5, 50).Transpose(0, 1)),
            (weight => weight.Narrow(1, 3, 0), tensor => tensor.Narrow(1, 3, 0)),
        ];
        foreach (var (lazy, here) in views)
        {
            using var weight = Weight.Lazy(checkpoint["t"], options: new LoadOptions { Device = device });
            using var values = await lazy(weight).MaterializeAsync();
            using var expected = here(whole);
            using var contiguous = expected.To(DType.F16);
            Assert.Same(device, values.Device);
            Assert.True(values.IsContiguous);
            Assert.Equal(contiguous.Shape, values.Shape);
            Assert.Equal(contiguous.AsSpan<byte>().ToArray(), GgufSample.Read(values));
            using var widened = await lazy(weight).MaterializeAsync(DType.F32, HostDevice.Shared);
            using var expectedWidened = expected.To(DType.F32);
            Assert.Equal(expectedWidened.AsSpan<byte>().ToArray(), widened.AsSpan<byte>().ToArray());
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task MaterializeAsync_APart_ReadsNothingElse()
    {
        RecordingSource? source = null;
        await using var checkpoint = await Sample.Make(3, ("t", DType.F16, [600, 100])).OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.BytesRead;
        using var weight = Weight.Lazy(checkpoint["t"]);
        using var part = await weight.Narrow(0, 20, 3).MaterializeAsync();
        Assert.Equal(600, source.BytesRead - opened);
    }

    [Fact]
    public async Task MaterializeAsync_OfAGguf_MovesRowsAndChangesValues()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        using var query = Weight.Lazy(checkpoint["blk.0.attn_q.weight"], "q", WeightTransform.Unpermute(2));
        using var values = await query.MaterializeAsync();
        Assert.Equal(GgufSample.Unpermute(sample.Values("blk.0.attn_q.weight"), 2).SelectMany(row => row), values.AsSpan<float>().ToArray());
        using var norm = Weight.Lazy(checkpoint["blk.0.attn_norm.weight"], "norm", WeightTransform.MinusOne);
        using var less = await norm.Narrow(0, 3, 5).MaterializeAsync();
        Assert.Equal(sample.VectorValues("blk.0.attn_norm.weight")[3..8].Select(value => value - 1f), less.AsSpan<float>().ToArray());
        using var back = Weight.Lazy(checkpoint["blk.0.attn_q.weight"], "q", WeightTransform.Unpermute(2).Inverse!);
        using var permuted = await back.MaterializeAsync();
        using var whole = Tensor.FromValues<float>(DType.F32, new Shape(8, 64), [.. sample.Values("blk.0.attn_q.weight").SelectMany(row => row)]);
        using var expected = WeightTransform.Unpermute(2).Inverse!.Apply(whole);
        Assert.Equal(expected.AsSpan<float>().ToArray(), permuted.AsSpan<float>().ToArray());
    }

    [Fact]
    public async Task MaterializeAsync_Fails_FreesWhatItHas()
    {
        ActingSource? acting = null;
        await using var checkpoint = await Sample.Make(3, ("t", DType.F16, [600, 100])).OpenAsync(inner => acting = new ActingSource(inner));
        var device = new HostDevice();
        using var weight = Weight.Lazy(checkpoint["t"], options: new LoadOptions { Device = device });
        acting!.Arm(1, () => throw new IOException("gone"));
        await Assert.ThrowsAsync<IOException>(() => weight.MaterializeAsync());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Materialize_OutsideOfALoader_SaysThatValuesAreNotRead()
    {
        await using var checkpoint = await Sample.Make(3, ("t", DType.F16, [6])).OpenAsync();
        using var weight = Weight.Lazy(checkpoint["t"]);
        Assert.True(weight.IsLazy);
        Assert.Contains("not read yet", Assert.Throws<ValuesRequiredException>(() => weight.Materialize()).Message, StringComparison.Ordinal);
    }
}
