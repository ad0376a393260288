using System.ComponentModel;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What a failure of the system says: the target, what failed, what to do; never a name that only we know.</summary>
public sealed class OutputFailureTests : IDisposable
{
    private const string Random = "0123456789abcdef0123456789abcdef";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // The numbers are Linux's, from errno-base.h and errno.h.
    [LinuxTheory]
    [InlineData(28, "there is no room for the 77 bytes of this file: ", typeof(IOException))]
    [InlineData(27, "the 77 bytes of this file are more than one file can hold", typeof(IOException))]
    [InlineData(30, "the file system of ", typeof(IOException))]
    [InlineData(122, "the 77 bytes of this file exceed your quota", typeof(IOException))]
    [InlineData(13, "writing in ", typeof(UnauthorizedAccessException))]
    [InlineData(1, "writing in ", typeof(UnauthorizedAccessException))]
    [InlineData(36, "this name is longer", typeof(PathTooLongException))]
    [InlineData(16, "the system uses this itself", typeof(IOException))]
    [InlineData(17, "this already exists", typeof(IOException))]
    [InlineData(39, "this already exists", typeof(IOException))]
    [InlineData(2, "nothing can be made here", typeof(IOException))]
    [InlineData(20, "", typeof(IOException))]
    [InlineData(21, "this is a folder", typeof(IOException))]
    [InlineData(40, "this link leads to itself", typeof(IOException))]
    [InlineData(5, "Input/output error", typeof(IOException))]
    public void Error_OfTheSystem_IsSaidOfTheTarget(int error, string text, Type type)
    {
        var target = _folder["f"];
        // As .NET throws them, and as our own calls do.
        foreach (var original in (Exception[])
        [
            new IOException($"{new Win32Exception(error).Message} : '{_folder[$".f.{Random}.tmp"]}'", error),
            SystemError.ToException(error),
        ])
        {
            var thrown = Assert.ThrowsAny<Exception>(() => OutputFailure.Explain(target, () => throw original, 77));
            Assert.IsType(type, thrown);
            Assert.StartsWith($"{target}: {text}", thrown.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(".tmp", thrown.Message, StringComparison.Ordinal);
            Assert.Same(original, thrown.InnerException);
        }
    }

    [LinuxFact]
    public void NoRoom_IsSaidWithWhatIsFree()
    {
        var message = OutputFailure.Of(_folder["f"], SystemError.ToException(28)).Message;
        Assert.Matches("^" + _folder["f"] + ": the disk is full: [0-9]+ bytes are free on the disk; make room, or choose another disk\\.$", message);
    }

    [Fact]
    public void WhatAlreadyNamesTheTarget_IsLeftAsItIs()
    {
        var original = new IOException($"{_folder["f"]}: something.");
        Assert.Same(original, Assert.Throws<IOException>(() => OutputFailure.Explain(_folder["f"], () => throw original)));
        var argument = new ArgumentException("Wrong.");
        Assert.Same(argument, Assert.Throws<ArgumentException>(() => OutputFailure.Explain(_folder["f"], () => throw argument)));
    }

    [Theory]
    [InlineData(".f.0123456789abcdef0123456789abcdef.tmp")]
    [InlineData(".f.0123456789abcdef0123456789abcdef.old")]
    public void TemporaryName_IsSaidAsTheTargets(string name)
    {
        var exception = OutputFailure.Of(_folder["f"], new IOException($"Strange : '{_folder[name]}'"));
        Assert.Equal($"{_folder["f"]}: Strange : '{_folder["f"]}'", exception.Message);
    }

    // The kernel's own file systems refuse new files, each in its way, to an administrator too.
    [LinuxTheory]
    [InlineData("/proc/ilgpu-loader-test")]
    [InlineData("/sys/ilgpu-loader-test")]
    public void WhereNothingCanBeMade_TheTargetIsNamed(string target)
    {
        foreach (var create in (Action[])[() => AtomicFile.Create(target), () => Fill(target)])
        {
            var exception = Assert.ThrowsAny<Exception>(create);
            Assert.True(exception is IOException or UnauthorizedAccessException, exception.ToString());
            Assert.StartsWith(target, exception.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(".tmp", exception.Message, StringComparison.Ordinal);
            // Making the folder first is what was tried.
            Assert.DoesNotContain("make it first", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Folder_BelowAFile_IsRefusedBeforeAnyWork()
    {
        _folder.Write("f", "a file");
        var exception = Assert.ThrowsAny<IOException>(() => AtomicFolder.Create(_folder["f/d"]));
        Assert.StartsWith($"{_folder["f/d"]}: ", exception.Message, StringComparison.Ordinal);
        Assert.ThrowsAny<IOException>(() => AtomicFile.Create(_folder["f/g"]));
    }

    [LinuxFact]
    public void Write_BeyondWhatAFileCanHold_IsSaidOfTheTarget()
    {
        // What .NET throws for EFBIG.
        var exception = OutputFailure.Of(_folder["f"], new ArgumentOutOfRangeException("value"));
        Assert.IsType<IOException>(exception);
        Assert.StartsWith($"{_folder["f"]}: this is more than one file can hold", exception.Message, StringComparison.Ordinal);
    }

    [LinuxTheory]
    [InlineData(36)]
    [InlineData(28)]
    [InlineData(30)]
    [InlineData(13)]
    [InlineData(122)]
    public async Task Commit_WhenNoOtherWayWouldDo_CopiesNothing(int error)
    {
        var calls = new RecordingCalls { LinkError = error };
        await using (var file = AtomicFile.Create(_folder["f"], 3, calls))
        {
            file.Write(0, "new"u8);
            var exception = await Assert.ThrowsAnyAsync<Exception>(async () => await file.CommitAsync());
            Assert.StartsWith(_folder["f"] + ": ", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(["open unnamed", "flush file", "link f: failed"], calls.Steps);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [LinuxTheory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(18, true)]
    [InlineData(22, true)]
    [InlineData(38, true)]
    [InlineData(95, true)]
    [InlineData(36, false)]
    [InlineData(28, false)]
    [InlineData(30, false)]
    [InlineData(13, false)]
    [InlineData(122, false)]
    [InlineData(5, false)]
    public void Error_MeansUnsupported_OnlyWhereAnotherWayMayDo(int error, bool expected) =>
        Assert.Equal(expected, SystemError.MeansUnsupported(error));

    private static void Fill(string target)
    {
        using var folder = AtomicFolder.Create(target);
        folder.CreateFile("a");
    }
}
