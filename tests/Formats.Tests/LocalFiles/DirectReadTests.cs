using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class DirectReadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public void ReadExactlyDirect_AnyRangeOfAnyFileIntoAnyAddress_GivesItsBytes()
    {
        var cases = from size in Gen.OneOf(Gen.Choose(1, 3000), Gen.Choose(1, 100_000), Gen.Elements(512, 4096, 8192))
                    from first in Gen.Choose(0, size)
                    from length in Gen.Choose(0, size - first)
                    from shift in Gen.Choose(0, 600)
                    from most in Gen.Elements(int.MaxValue, 512, 700, 5000)
                    from alignment in Gen.Elements(default(DirectAlignment?), new DirectAlignment(4096, 4096), new DirectAlignment(1, 4096))
                    select (size, first, length, shift, most, alignment);
        var index = 0;
        Prop.ForAll(cases.ToArbitrary(), at =>
        {
            var bytes = RandomBytes(at.size);
            var calls = new RefusingCalls { Most = Math.Max(at.most, at.alignment?.Offset + 1 ?? 513), Alignment = at.alignment };
            var source = new LocalFileSource(_folder.Write($"{index++}", bytes), null, calls);
            var margin = source.FindDirectAlignment()?.Margin ?? 0;
            var room = new byte[at.shift + at.length + margin];
            var begin = source.ReadExactlyDirect(at.first, at.length, room.AsSpan(at.shift));
            Assert.Equal(bytes.AsSpan(at.first, at.length), room.AsSpan(at.shift + begin, at.length));
            source.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_WholeBlocksToAnAlignedAddress_NeedNoMoreRoom()
    {
        var bytes = RandomBytes(64 << 10);
        await using var source = new LocalFileSource(_folder.Write("f", bytes));
        var alignment = source.FindDirectAlignment();
        Assert.NotNull(alignment);
        var memory = GC.AllocateArray<byte>(32 << 10, pinned: true);
        var start = Aligned(memory, 4096);
        Assert.True(alignment.Value.Agrees(start.Address, 8192));
        Assert.False(alignment.Value.Agrees(start.Address, 8192 + 1));
        Assert.Equal(0, source.ReadExactlyDirect(8192, 16384, memory.AsSpan(start.Index, 16384)));
        Assert.Equal(bytes.AsSpan(8192, 16384), memory.AsSpan(start.Index, 16384));
        Assert.Throws<ArgumentException>("room", () => source.ReadExactlyDirect(8193, 16384, memory.AsSpan(start.Index, 16384)));
        Assert.Throws<ArgumentException>("room", () => source.ReadExactlyDirect(0, 5, new byte[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => source.ReadExactlyDirect(-1, 5, memory));
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_LeavesNothingInThePageCache()
    {
        // On a file system that has a disk behind it; where temporary files are memory there is nothing to pass by.
        await using var source = new LocalFileSource(WriteAndForget("f", RandomBytes(8 << 20)));
        if (source.Examine(0, source.Length) is not { FileSystem: FileSystemKind.Disk, Direct: { } alignment, ResidentShare: < 0.01 })
        {
            return;
        }

        source.ReadExactlyDirect(4097, 4 << 20, new byte[(4 << 20) + alignment.Margin]);
        Assert.InRange(source.Examine(0, source.Length).ResidentShare!.Value, 0, 0.01);
        source.ReadExactly(0, new byte[4 << 20]);
        Assert.InRange(source.Examine(0, source.Length).ResidentShare!.Value, 0.5, 1);
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_FileSystemThatRefusesToOpen_ReadsThroughTheCacheAndAsksOnce()
    {
        var bytes = RandomBytes(5000);
        var calls = new RefusingCalls { RefusesOpening = true };
        await using var source = new LocalFileSource(_folder.Write("f", bytes), null, calls);
        Assert.False(source.RefusesDirect);
        Assert.Null(source.FindDirectAlignment());
        Assert.True(source.RefusesDirect);
        Assert.Null(source.Examine(0, 5000).Direct);
        var room = new byte[4000];
        Assert.Equal(0, source.ReadExactlyDirect(1000, 4000, room));
        Assert.Equal(bytes[1000..5000], room);
        Assert.Equal((1, 0), (calls.Opened, calls.Reads));
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_NoDescriptorForNow_ReadsThroughTheCacheAndAsksAgain()
    {
        var bytes = RandomBytes(5000);
        var calls = new RefusingCalls { RefusesOpeningForNow = 1 };
        await using var source = new LocalFileSource(_folder.Write("f", bytes), null, calls);
        var room = new byte[64 << 10];
        Assert.Equal(0, source.ReadExactlyDirect(1000, 4000, room));
        Assert.Equal(bytes[1000..5000], room[..4000]);
        Assert.False(source.RefusesDirect);
        Assert.Equal(0, calls.Reads);

        var begin = source.ReadExactlyDirect(1000, 4000, room);
        Assert.Equal(bytes[1000..5000], room[begin..(begin + 4000)]);
        Assert.Equal(2, calls.Opened);
    }

    [LinuxTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task ReadExactlyDirect_FileSystemThatRefusesARead_GoesOnThroughTheCache(int read)
    {
        var bytes = RandomBytes(40_000);
        var calls = new RefusingCalls { RefusesRead = read, Most = 8192 };
        await using var source = new LocalFileSource(_folder.Write("f", bytes), null, calls);
        for (var round = 0; round < 2; round++)
        {
            var room = new byte[48_000];
            var begin = source.ReadExactlyDirect(777, 30_000, room);
            Assert.Equal(bytes.AsSpan(777, 30_000), room.AsSpan(begin, 30_000));
        }

        Assert.True(source.RefusesDirect);
        Assert.Equal(read, calls.Reads);
    }

    [LinuxTheory]
    [InlineData(600, 500, 500, 600)]
    [InlineData(600, 700, 200, 700)]
    [InlineData(0, 0, 1000, 0)]
    [InlineData(512, 100, 900, 512)]
    public async Task ReadExactlyDirect_FileCutWhileOpen_SaysWhereItEndsAsOtherReadsDo(int left, int offset, int length, long end)
    {
        await using var source = new LocalFileSource(_folder.Write("f", new byte[1000]));
        Assert.NotNull(source.FindDirectAlignment());
        using (var stream = new FileStream(_folder["f"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(left);
        }

        var exception = Assert.Throws<InvalidCheckpointException>(() => source.ReadExactlyDirect(offset, length, new byte[20_000]));
        var buffered = Assert.Throws<InvalidCheckpointException>(() => source.ReadExactly(offset, new byte[length]));
        Assert.Equal((CheckpointErrorCode.FileTruncated, end), (exception.Code, exception.Offset));
        Assert.Equal(buffered.Message, exception.Message);
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_FileReplacedWhileOpen_GivesTheOldBytes()
    {
        var bytes = RandomBytes(10_000);
        await using var source = new LocalFileSource(_folder.Write("f", bytes));
        await AtomicFile.WriteAllBytesAsync(_folder["f"], RandomBytes(9_000));
        var room = new byte[20_000];
        var begin = source.ReadExactlyDirect(3, 9_997, room);
        Assert.Equal(bytes.AsSpan(3), room.AsSpan(begin, 9_997));
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_FileReplacedWhileClosed_IsRefused()
    {
        var limit = new OpenFileLimit(1);
        await using var source = new LocalFileSource(_folder.Write("f", RandomBytes(10_000)), limit);
        await using var other = new LocalFileSource(_folder.Write("g", RandomBytes(10)), limit);
        await AtomicFile.WriteAllBytesAsync(_folder["f"], RandomBytes(9_000));
        var exception = Assert.Throws<InvalidCheckpointException>(() => source.ReadExactlyDirect(0, 10, new byte[20_000]));
        Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_ManyFilesSideBySideUnderALimit_KeepsFewDescriptors()
    {
        const int readers = 4;
        var limit = new OpenFileLimit(8);
        var sources = Enumerable.Range(0, 100).Select(i => new LocalFileSource(_folder.Write($"{i}", [(byte)i, 1, 2]), limit)).ToArray();
        var most = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), new ParallelOptions { MaxDegreeOfParallelism = readers }, (i, _) =>
        {
            var room = new byte[20_000];
            var begin = sources[i * 7 % 100].ReadExactlyDirect(0, 3, room);
            Assert.Equal(i * 7 % 100, room[begin]);
            if (i % 50 == 0)
            {
                lock (limit)
                {
                    most = Math.Max(most, OpenFiles.Below(_folder.Path).Count);
                }
            }

            return ValueTask.CompletedTask;
        });
        // Beyond the limit each reader may have its file twice, and be opening it.
        Assert.InRange(most, 1, 8 + (4 * readers));
        sources[0].ReadExactlyDirect(0, 3, new byte[20_000]);
        sources[1].ReadExactlyDirect(0, 3, new byte[20_000]);
        Assert.InRange(limit.OpenCount, 1, 8);
        Assert.Equal(limit.OpenCount, OpenFiles.Below(_folder.Path).Count);
        foreach (var source in sources)
        {
            await source.DisposeAsync();
        }

        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_InMemory_GivesTheBytesWhetherTmpfsTakesItOrNot()
    {
        if (!Directory.Exists("/dev/shm"))
        {
            return;
        }

        var path = $"/dev/shm/ilgpu-loader-{Guid.NewGuid():N}";
        var bytes = RandomBytes(100_001);
        try
        {
            await File.WriteAllBytesAsync(path, bytes);
            await using var source = new LocalFileSource(path);
            Assert.Equal(FileSystemKind.Memory, source.Examine(0, 100_001).FileSystem);
            var room = new byte[200_000];
            var begin = source.ReadExactlyDirect(11, 99_990, room);
            Assert.Equal(bytes.AsSpan(11), room.AsSpan(begin, 99_990));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [LinuxFact]
    public async Task ReadExactlyDirect_Disposed_Throws()
    {
        var source = new LocalFileSource(_folder.Write("f", new byte[10]));
        Assert.NotNull(source.FindDirectAlignment());
        await source.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => source.ReadExactlyDirect(0, 1, new byte[9000]));
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [Theory]
    [InlineData(512, 512, true)]
    [InlineData(1, 4096, true)]
    [InlineData(16384, 16384, true)]
    [InlineData(0, 0, false)]
    [InlineData(512, 768, false)]
    [InlineData(32768, 512, false)]
    public void Checked_WhatTheFileSystemSays_IsTakenWhereItCanBeKept(uint memory, uint offset, bool isTaken) =>
        Assert.Equal(isTaken ? new DirectAlignment((int)memory, (int)offset) : null, DirectCalls.Checked(memory, offset));

    private string WriteAndForget(string name, byte[] bytes)
    {
        var path = _folder.Write(name, bytes);
        using var stream = new FileStream(path, FileMode.Open);
        stream.Flush(flushToDisk: true);
        PageCacheTests.Forget(stream.SafeFileHandle);
        return path;
    }

    private static (int Index, nint Address) Aligned(byte[] pinned, int alignment)
    {
        var address = System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);
        var index = (int)(-address & (alignment - 1));
        return (index, address + index);
    }

    private static byte[] RandomBytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }
}
