using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// One value that a pickle names again and again costs once (bad input P10): what is accepted is held against the same bound of
/// memory as what is refused.
/// </summary>
public sealed class TorchAmplificationTests
{
    private const int Times = 1000;

    private static readonly string Large = new('a', 4 << 20);

    // Made in the test: xunit would write megabytes of arguments down for every row.
    [Theory]
    [InlineData("bytes of a text")]
    [InlineData("bytes of bytes of a text")]
    [InlineData("a device")]
    [InlineData("a text of NumPy")]
    public async Task P10_ValueOfMegabytesNamedAThousandTimes_IsMadeOnce(string what)
    {
        var value = what switch
        {
            "bytes of a text" => Call("_codecs", "encode", Text(Large), Text("latin1")),
            "bytes of bytes of a text" => Call("builtins", "bytes", Call("_codecs", "encode", Text(Large), Text("latin1"))),
            "a device" => Call("torch", "device", Text(Large), Whole(1)),
            _ => Call(
                "numpy.core.multiarray",
                "scalar",
                Type("U262144", "<"),
                Call("_codecs", "encode", Text(string.Concat(Enumerable.Repeat("a\0\0\0", 1 << 18))), Text("latin1"))),
        };
        var list = List([Put(value, 1), .. Enumerable.Repeat(Get(1), Times - 1)]);
        var (checkpoint, allocated) = await OpenAsync(new TorchBuilder().ToArchive(Dictionary(("x", list))));
        await using (checkpoint)
        {
            var values = Assert.IsType<TorchList>(checkpoint.Metadata["x"]);
            Assert.Equal(Times, values.Count);
            Assert.All(values, item => Assert.Same(values[0], item));
            // What a listing would print stays short.
            Assert.InRange(values.ToString().Length, 10, 200_000);
        }

        Assert.True(allocated > 0);
    }

    [Fact]
    public async Task P10_ArraysOfOneByteString_AreOneSection()
    {
        var data = Put(Call("_codecs", "encode", Text(Large), Text("latin1")), 1);
        var arrays = Enumerable.Range(0, Times).Select(i => ($"a{i}", Array([Large.Length], i == 0 ? data : Get(1))));
        var (checkpoint, _) = await OpenAsync(new TorchBuilder().ToArchive(Dictionary([.. arrays])));
        await using (checkpoint)
        {
            Assert.Equal(Times, checkpoint.Tensors.Length);
            Assert.Single(checkpoint.Tensors.Select(tensor => tensor.Offset).Distinct());
            Assert.Equal(Large.Length, checkpoint.TensorBytes);
        }
    }

    [Fact]
    public async Task P10_DifferentRecordsOverOneText_AreCountedEach()
    {
        var text = Put(Text(Large), 1);
        var list = List([.. Enumerable.Range(0, Times).Select(i => Call("_codecs", "encode", i == 0 ? text : Get(1), Text("latin1")))]);
        await TorchOpening.RefusedAsync<CheckpointLimitException>(new TorchBuilder().ToArchive(Dictionary(("x", list))), CheckpointErrorCode.LimitExceeded);
    }

    [Fact]
    public async Task P10_LongKeySetOften_IsCountedEachTime()
    {
        byte[] value = [(byte)'}', (byte)'(', .. Put(Text(Large), 1), (byte)'N', .. Enumerable.Repeat((byte[])[.. Get(1), (byte)'N'], 1000).SelectMany(entry => entry), (byte)'u'];
        await TorchOpening.RefusedAsync<CheckpointLimitException>(new TorchBuilder().ToArchive(value), CheckpointErrorCode.LimitExceeded);
    }

    // 490 tags in one another, named 100,000 times: going through them each time would take 49,000,000 steps.
    [Theory]
    [InlineData("torch.jit._pickle", "restore_type_tag")]
    [InlineData("torch.nn.parameter", "Parameter")]
    public void P10_WrappersInOneAnother_AreGoneThroughOnce(string module, string name)
    {
        var global = new PickleGlobal(module, name, PickleGlobalKind.Function);
        object value = 7L;
        for (var i = 0; i < 490; i++)
        {
            value = new PickleObject(global, new PickleTuple([value]));
        }

        var file = new CheckpointFile("x", "x", "pytorch", new MemorySource((byte[])[], "x"));
        // 490 wrappers fit, and a second walk through them does not.
        var findings = new TorchFindings(file, 490 * 100);
        var wrappers = new TorchWrappers(new TorchRecord(file), findings);
        for (var i = 0; i < 100_000; i++)
        {
            Assert.Equal(7L, wrappers.Inside(value));
        }
    }

    [Fact]
    public async Task P10_TensorsInOneAnotherNamedOften_AreCountedEachStep()
    {
        var value = Tensor(Storage("ByteStorage", "0", 4), 0, [4], [1]);
        for (var i = 0; i < 200; i++)
        {
            value = Call("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", value, Global("torch", "uint8"), Text("xla"), Truth(false));
        }

        var list = List([Put(value, 1), .. Enumerable.Repeat(Get(1), 100_000)]);
        await TorchOpening.RefusedAsync<CheckpointLimitException>(
            new TorchBuilder().AddStorage("0", new byte[4]).ToArchive(list), CheckpointErrorCode.LimitExceeded);
    }

    [Fact]
    public void P10_MemoIndexesThatAreMultiplesOfADictionarysSize_FallIntoManyBuckets()
    {
        // One of the sizes that .NET's dictionaries grow through; a number is its own hash there.
        const int size = 75431;
        var buckets = Enumerable.Range(1, 50_000).Select(i => (uint)SeededIndexComparer.Instance.GetHashCode((uint)(i * (long)size)) % size).Distinct().Count();
        Assert.InRange(buckets, 20_000, 50_000);
    }

    [Fact]
    public async Task Open_CancelledBeforeThePickle_StopsWithinIt()
    {
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();
        var pickle = Complete(List([.. Enumerable.Repeat("N"u8.ToArray(), 10_000)]));
        Assert.Throws<OperationCanceledException>(() => new PickleReader(pickle, PickleReading.Settings()).Read(cancellation.Token));
        var file = new CheckpointFile("x", "x", "pytorch", new MemorySource(pickle, "x"));
        var value = new PickleReader(pickle, PickleReading.Settings()).Read(CancellationToken.None);
        ((PickleList)value).Items[0] = new PickleDictionary();
        Assert.Throws<OperationCanceledException>(() => TorchContent.Make(
            file, value, new NoStorages(file), TorchLimits.Default, 0, new TorchHeader(TorchContainer.Pickle, null, false, null, 2, 0), cancellation.Token));
    }

    private static async Task<(Checkpoint Checkpoint, long Allocated)> OpenAsync(byte[] file)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = Checkpoint.OpenAsync(new MemorySource(file, TorchOpening.Name));
        Assert.True(opening.IsCompleted);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.InRange(allocated, 0, file.Length + BoundedOpening.AllocationBound);
        return (await opening, allocated);
    }

    private static byte[] Type(string code, string order) =>
        [.. Call("numpy", "dtype", Text(code), Truth(false), Truth(true)), .. Tuple(Whole(3), Text(order), None, None, None, Whole(-1), Whole(-1), Whole(0)), (byte)'b'];

    private static byte[] Array(long[] shape, byte[] data) =>
    [
        .. Call("numpy.core.multiarray", "_reconstruct", Global("numpy", "ndarray"), Numbers(0), Bytes((byte)'b')),
        .. Tuple(Whole(1), Numbers(shape), Type("u1", "|"), Truth(false), data), (byte)'b',
    ];
}
