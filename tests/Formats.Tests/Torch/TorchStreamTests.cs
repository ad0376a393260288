using System.Text;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Streams before 1.6: their pickles, keys and counts, and what is no stream (bad input P9).</summary>
public sealed class TorchStreamTests
{
    private static readonly byte[] Magic = Complete(Whole(TorchBuilder.TorchMagic));
    private static readonly byte[] Protocol = Complete(Whole(1001));
    private static readonly byte[] Keys = Complete(List(Text("0")));

    private static byte[] Value => Dictionary(("a", Tensor(Storage("ShortStorage", "0", 2, None), 0, [2], [1])));

    private static TorchBuilder Builder => new TorchBuilder().AddStorage("0", [1, 2, 3, 4], 2);

    public static TheoryData<string, byte[]> Magics => new()
    {
        { "protocol 0", "L119547037146038801333356L\n."u8.ToArray() },
        { "protocol 2", Magic },
        { "protocol 3", [0x80, 3, .. Magic[2..]] },
        { "protocol 4", [0x80, 4, 0x95, (byte)(Magic.Length - 2), 0, 0, 0, 0, 0, 0, 0, .. Magic[2..]] },
        { "protocol 5", [0x80, 5, 0x95, (byte)(Magic.Length - 2), 0, 0, 0, 0, 0, 0, 0, .. Magic[2..]] },
    };

    [Theory]
    [MemberData(nameof(Magics))]
    public async Task Open_MagicOfAnyProtocol_IsAStream(string what, byte[] magic)
    {
        Assert.NotEmpty(what);
        await using var checkpoint = await TorchOpening.AcceptedAsync(Builder.ToStreamOf(magic, Protocol, Complete(Value), Keys));
        Assert.Equal([1, 2, 3, 4], await TorchOpening.ValuesAsync(checkpoint["a"]));
        Assert.Equal(TorchContainer.Stream, ((TorchHeader)checkpoint.Files[0].Header!).Container);
    }

    [Fact]
    public async Task P9_AnotherMagic_IsRefused()
    {
        foreach (var magic in (byte[][])[Complete(Whole(TorchBuilder.TorchMagic + 1)), Complete(Whole(42)), "L42L\n."u8.ToArray()])
        {
            var exception = await TorchOpening.InvalidAsync(Builder.ToStreamOf(magic, Protocol, Complete(Value), Keys), CheckpointErrorCode.UnknownFormat);
            Assert.Contains("119547037146038801333356", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task P9_Protocol1000_IsRefused()
    {
        var exception = await TorchOpening.InvalidAsync(
            Builder.ToStreamOf(Magic, Complete(Whole(1000)), Complete(Value), Keys), CheckpointErrorCode.UnknownVersion);
        Assert.Contains("1000", exception.Message, StringComparison.Ordinal);
        Assert.Contains("1001", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", CheckpointErrorCode.StorageInvalid, "a")]
    [InlineData("1", CheckpointErrorCode.StorageInvalid, null)]
    [InlineData("0,1", CheckpointErrorCode.StorageInvalid, null)]
    [InlineData("0,0", CheckpointErrorCode.FileTruncated, null)]
    public async Task P9_KeysThatAreNotThoseOfThePickle_AreRefused(string keys, CheckpointErrorCode code, string? tensor)
    {
        var list = Complete(List([.. keys.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Text)]));
        await TorchOpening.InvalidAsync(Builder.ToStreamOf(Magic, Protocol, Complete(Value), list), code, tensor);
    }

    [Fact]
    public async Task P9_KeyTwiceWithItsStorageTwice_IsRefused()
    {
        var file = Builder.AddStorage("0", [1, 2, 3, 4], 2).ToStream(Value);
        await TorchOpening.InvalidAsync(file, CheckpointErrorCode.StorageInvalid);
    }

    [Fact]
    public async Task Open_OneStorageWithTwoSizes_IsRefused() => await TorchOpening.InvalidAsync(
        Builder.ToStream(Dictionary(("a", Storage("ShortStorage", "0", 2, None)), ("b", Storage("ShortStorage", "0", 1, None)))), CheckpointErrorCode.SizeMismatch);

    [Fact]
    public async Task Open_StreamCutAnywhere_IsRefused()
    {
        var file = Builder.ToStream(Value);
        for (var length = 3; length < file.Length; length++)
        {
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
                () => Checkpoint.OpenAsync(new MemorySource(file.AsMemory(0, length), TorchOpening.Name)));
            Assert.Contains(
                exception.Code, (CheckpointErrorCode[])[CheckpointErrorCode.PickleInvalid, CheckpointErrorCode.FileTruncated]);
        }
    }

    [Fact]
    public async Task Open_BytesBehindTheStream_AreAWarning()
    {
        byte[] file = [.. Builder.ToStream(Value), 1, 2, 3];
        await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        Assert.Contains("3 bytes follow", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PartOfAStorage_IsAViewOfTheWhole()
    {
        byte[] View(long offset, long count) => Storage("ShortStorage", "0", 2, Tuple(Text("part"), Whole(offset), Whole(count)));
        await using var checkpoint = await TorchOpening.AcceptedAsync(Builder.ToStream(Dictionary(
            ("a", Tensor(Storage("ShortStorage", "0", 2, None), 0, [2], [1])), ("b", Tensor(View(1, 1), 0, [1], [1])), ("c", View(1, 1)))));
        Assert.Equal([3, 4], await TorchOpening.ValuesAsync(checkpoint["b"]));
        Assert.Equal([3, 4], await TorchOpening.ValuesAsync(checkpoint["c"]));
        Assert.Equal(checkpoint["a"].Offset, checkpoint["b"].Offset);
        await TorchOpening.InvalidAsync(Builder.ToStream(Dictionary(("b", View(1, 2)))), CheckpointErrorCode.StorageInvalid);
    }

    [Fact]
    public async Task Open_ModuleWithItsSource_NeverLooksAtTheSource()
    {
        byte[] module =
        [
            .. Reference(Text("module"), Global("my", "Net"), Text("/my.py"), Text("import os; os.system('touch PWNED')")), (byte)')', 0x81,
            .. Dictionary(("_parameters", Dictionary(("w", Storage("ShortStorage", "0", 2, None)))), ("_buffers", Dictionary()), ("_modules", Dictionary())), (byte)'b',
        ];
        await TorchOpening.RefusedAsync<UnsafePickleException>(Builder.ToStream(module), CheckpointErrorCode.UnsafePickle);
        await using var checkpoint = await TorchOpening.AcceptedAsync(Builder.ToStream(module), TorchOpening.Admitting);
        Assert.Equal("w", Assert.Single(checkpoint.Tensors).Name);
        Assert.DoesNotContain(checkpoint.Metadata.Values, value => value is string);
    }

    [Fact]
    public async Task Open_LargeStorages_ReadsPicklesAndCountsOnly()
    {
        var builder = new TorchBuilder();
        var entries = new List<(string, byte[])>();
        for (var i = 0; i < 20; i++)
        {
            var key = i.ToString(System.Globalization.CultureInfo.InvariantCulture);
            builder.AddStorage(key, new byte[1 << 20]);
            entries.Add((key, Storage("ByteStorage", key, 1 << 20, None)));
        }

        var source = new RecordingSource(new MemorySource(builder.ToStream(Dictionary([.. entries])), TorchOpening.Name));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        Assert.Equal(20, checkpoint.Tensors.Length);
        // A first window on the pickles, and a page for each count.
        Assert.InRange(source.BytesRead, 1, (64 << 10) + 512 + (20 * 4096));
    }

    [Fact]
    public async Task Open_PicklesLongerThanTheFirstWindow_AreWhole()
    {
        var builder = new TorchBuilder();
        var entries = new List<(string, byte[])>();
        for (var i = 0; i < 3000; i++)
        {
            var key = i.ToString(System.Globalization.CultureInfo.InvariantCulture);
            builder.AddStorage(key, Encoding.ASCII.GetBytes(key));
            entries.Add(("layer." + key, Storage("ByteStorage", key, key.Length, None)));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(builder.ToStream(Dictionary([.. entries])), TorchOpening.Name));
        Assert.Equal(3000, checkpoint.Tensors.Length);
        foreach (var tensor in checkpoint.Tensors)
        {
            Assert.Equal(tensor.Name["layer.".Length..], Encoding.ASCII.GetString(await TorchOpening.ValuesAsync(tensor)));
        }
    }

    [Fact]
    public async Task Open_PickleLongerThanTheLimit_NamesTheOption()
    {
        var options = new CheckpointOptions { Torch = new TorchLimits { MaximumPickleBytes = 200 } };
        var file = Builder.ToStream(Dictionary(("a", Storage("ShortStorage", "0", 2, None)), ("text", Text(new string('x', 200_000)))));
        var exception = await TorchOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded, options);
        Assert.Equal("TorchLimits.MaximumPickleBytes", exception.Option);
    }

    [Fact]
    public async Task Open_StreamThatSaysBigEndianAndIsNot_IsReadAsItsCountsAre()
    {
        var file = new TorchBuilder { IsMarkedBigEndian = true }.AddStorage("0", [1, 0, 0, 0, 2, 0, 0, 0], 2).AddStorage("1", [], 0)
            .ToStream(Dictionary(("a", Tensor(Storage("IntStorage", "0", 2, None), 0, [2], [1])), ("b", Tensor(Storage("IntStorage", "1", 0, None), 0, [0], [1]))));
        await using var checkpoint = await TorchOpening.AcceptedAsync(file);
        Assert.Equal([1, 0, 0, 0, 2, 0, 0, 0], await TorchOpening.ValuesAsync(checkpoint["a"]));
        Assert.False(((TorchHeader)checkpoint.Files[0].Header!).IsBigEndian);
    }

    [Fact]
    public async Task P9_CountsInTwoByteOrders_AreRefused()
    {
        var file = new TorchBuilder { IsBigEndian = true }.AddStorage("0", [0, 0, 0, 1], 1).AddStorage("1", [1, 0, 0, 0], 1L << 56)
            .ToStream(Dictionary(("a", Tensor(Storage("IntStorage", "0", 1, None), 0, [1], [1])), ("b", Tensor(Storage("IntStorage", "1", 1, None), 0, [1], [1]))));
        await TorchOpening.InvalidAsync(file, CheckpointErrorCode.SizeMismatch);
    }

    [Fact]
    public async Task P10_PicklesThatAreEachWithinTheLimit_ShareIt()
    {
        // 290,000 empty lists that are dropped again, in the object's pickle and in that of the keys: each alone is within the limit.
        byte[] lists = [(byte)'(', .. Enumerable.Repeat((byte)']', 290_000), (byte)'1', .. List()];
        await using (await TorchOpening.AcceptedAsync(new TorchBuilder().ToStreamOf(Complete(Whole(TorchBuilder.TorchMagic)), Complete(Whole(1001)), Complete(lists), Complete(List()))))
        {
        }

        await TorchOpening.RefusedAsync<CheckpointLimitException>(
            new TorchBuilder().ToStreamOf(Complete(Whole(TorchBuilder.TorchMagic)), Complete(Whole(1001)), Complete(lists), Complete(lists)),
            CheckpointErrorCode.LimitExceeded);
    }

    [Fact]
    public async Task P9_PickleInFrontOfTheObjectOfMoreThanItHolds_IsRefused()
    {
        byte[] padded = [0x80, 2, .. Enumerable.Repeat("N0"u8.ToArray(), 4096).SelectMany(pair => pair), .. Whole(1001), (byte)'.'];
        await TorchOpening.InvalidAsync(
            new TorchBuilder().ToStreamOf(Complete(Whole(TorchBuilder.TorchMagic)), padded, Complete(Dictionary()), Complete(List())), CheckpointErrorCode.PickleInvalid);
    }
}
