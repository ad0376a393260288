using System.Reflection;
using IlgpuLoader.Loading;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What a section sets, and what is said of what is wrong in it.</summary>
[Trait("Area", "Options")]
public sealed class SectionReaderTests
{
    [Fact]
    public void Read_EveryKindOfValue_IsSet()
    {
        var options = new IlgpuLoaderOptions();
        var problems = SectionReader.Read(
            ConfigurationOf.Json(
                """
                {
                  "OnFailure": "retry", "MAXIMUMCONCURRENTLOADS": 3, "Retry": { "FirstDelay": "00:00:00.5", "MaximumRetries": "7" },
                  "Models": {
                    "llama": {
                      "Path": "models/llama", "Device": "cuda:0,cuda:1", "Layout": "Model", "DType": "f32", "LoadOnStart": false, "Required": true, "OnFailure": "Degrade", "WatchInterval": "00:00:30",
                      "LeaseTimeout": "-00:00:00.001", "Include": ["a.*", "b.*"], "StagingBytes": 4294967296, "ReadMode": "mapped"
                    },
                    "other": { "Path": "x.gguf" }
                  }
                }
                """),
            options);
        Assert.Empty(problems);
        Assert.Equal((FailureBehavior.Retry, 3, TimeSpan.FromSeconds(0.5), TimeSpan.FromMinutes(1), 7), (options.OnFailure, options.MaximumConcurrentLoads, options.Retry.FirstDelay, options.Retry.MaximumDelay, options.Retry.MaximumRetries));
        Assert.Equal(["llama", "other"], options.Models.Keys.Order());
        var model = options.Models["LLAMA"];
        Assert.Equal(("models/llama", "cuda:0,cuda:1", HostedLayout.Model, "f32"), (model.Path, model.Device, model.Layout, model.DType));
        Assert.Equal((false, (bool?)true, (FailureBehavior?)FailureBehavior.Degrade), (model.LoadOnStart, model.Required, model.OnFailure));
        Assert.Equal((TimeSpan.FromSeconds(30), Timeout.InfiniteTimeSpan), (model.WatchInterval, model.LeaseTimeout));
        Assert.Equal(["a.*", "b.*"], model.Include);
        Assert.Equal((4L << 30, ReadMode.Mapped), (model.StagingBytes, model.ReadMode));
    }

    // A value other than the default for each property, so that none is forgotten by the reader.
    public static TheoryData<string> ModelKeys => [.. SectionReader.PropertiesOf(typeof(HostedModelOptions)).Select(property => property.Name)];

    [Theory]
    [MemberData(nameof(ModelKeys))]
    public void Read_AnyPropertyOfAModel_IsSet(string key)
    {
        var property = typeof(HostedModelOptions).GetProperty(key)!;
        var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        var (fresh, model) = (new HostedModelOptions(), new HostedModelOptions());
        var text = type == typeof(bool) ? $"{!((bool?)property.GetValue(fresh) ?? false)}"
            : type == typeof(TimeSpan) ? "00:01:07"
            : type.IsEnum ? Enum.GetNames(type)[^1]
            : "77";
        Assert.Empty(SectionReader.Read(ConfigurationOf.Pairs(property.PropertyType == typeof(IList<string>) ? $"{key}:0={text}" : $"{key}={text}"), model));
        if (property.GetValue(model) is IList<string> list)
        {
            Assert.Equal([text], list);
        }
        else
        {
            Assert.NotEqual(property.GetValue(fresh), property.GetValue(model));
            Assert.Equal(type == typeof(TimeSpan) ? TimeSpan.FromSeconds(67) : text, type == typeof(TimeSpan) ? property.GetValue(model)! : $"{property.GetValue(model)}");
        }
    }

    [Theory]
    [InlineData(typeof(IlgpuLoaderOptions))]
    [InlineData(typeof(HostedModelOptions))]
    [InlineData(typeof(RetryOptions))]
    public void PropertiesOf_Options_HasEveryPublicProperty(Type options) =>
        Assert.Equal(
            options.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(property => property.Name).Order(StringComparer.Ordinal), SectionReader.PropertiesOf(options).Select(property => property.Name));

    [Theory]
    [InlineData("Models:llama:Devcie=host", "Models:llama:Devcie: there is no such key; did you mean 'Device'?")]
    [InlineData("models:llama:devcie=host", "models:llama:devcie: there is no such key; did you mean 'Device'?")]
    [InlineData("Modles:llama:Path=x", "Modles: there is no such key; did you mean 'Models'?")]
    [InlineData("Retry:FirstDely=00:00:01", "Retry:FirstDely: there is no such key; did you mean 'FirstDelay'?")]
    [InlineData("Zzz=1", "Zzz: there is no such key; there are MaximumConcurrentLoads, Models, OnFailure, Retry")]
    [InlineData("Models:llama:Lanes=many", "Models:llama:Lanes: 'many' is no whole number")]
    [InlineData("Models:llama:Lanes=1.5", "Models:llama:Lanes: '1.5' is no whole number")]
    [InlineData("Models:llama:Lanes=3000000000", "Models:llama:Lanes: '3000000000' is not between -2147483648 and 2147483647")]
    [InlineData("Models:llama:StagingBytes=64MiB", "Models:llama:StagingBytes: '64MiB' is no whole number")]
    [InlineData("Models:llama:StagingBytes=", "Models:llama:StagingBytes: '' is no whole number")]
    [InlineData("Models:llama:Watch=yes", "Models:llama:Watch: 'yes' is neither true nor false")]
    [InlineData("Models:llama:Layout=Modell", "Models:llama:Layout: 'Modell' is none of Checkpoint, Model, Sharded")]
    [InlineData("Models:llama:Layout=1", "Models:llama:Layout: '1' is none of Checkpoint, Model, Sharded")]
    [InlineData("OnFailure=Stop,Retry", "OnFailure: 'Stop,Retry' is none of Stop, Retry, Degrade")]
    [InlineData("Models:llama:WatchInterval=30", "Models:llama:WatchInterval: '30' is no time; half a minute is 00:00:30")]
    [InlineData("Models:llama:WatchInterval=\u001b[2J", "Models:llama:WatchInterval: '\\u001b[2J' is no time; half a minute is 00:00:30")]
    [InlineData("Models:llama:Path:0=x", "Models:llama:Path: is one value, and has keys or items below it")]
    [InlineData("Models:llama:Include=a.*", "Models:llama:Include: is a list; give its items as Include:0, Include:1 and so on")]
    [InlineData("Models:llama:Include:first=a.*", "Models:llama:Include:first: the items of a list have numbers from 0 as keys")]
    [InlineData("Models:llama:Include:0:x=a.*", "Models:llama:Include:0: is an item of a list, and has no text")]
    [InlineData("Models:llama=models/llama", "Models:llama: is a section with keys of its own, and has a value instead")]
    [InlineData("Models=llama", "Models: has sections by their names, and has a value instead")]
    [InlineData("Retry=3", "Retry: is a section with keys of its own, and has a value instead")]
    public void Read_AWrongKeyOrValue_IsNamedWithItsFullPath(string pair, string problem)
    {
        var root = ConfigurationOf.Pairs($"My:Loader:{pair}");
        Assert.Equal([$"My:Loader:{problem}"], SectionReader.Read(root.GetSection("My:Loader"), new IlgpuLoaderOptions()));
    }

    [Fact]
    public void Read_AWrongValue_LeavesTheOthersSet()
    {
        var options = new IlgpuLoaderOptions();
        Assert.Equal(2, SectionReader.Read(ConfigurationOf.Pairs("Models:a:Lanes=x", "Models:a:Path=p", "Oops=1", "Models:a:Watch=true"), options).Count);
        Assert.Equal(("p", true, null), (options.Models["a"].Path, options.Models["a"].Watch, options.Models["a"].Lanes));
    }

    [Fact]
    public void Read_NullOfAFile_CountsAsNotThere()
    {
        var options = new IlgpuLoaderOptions();
        Assert.Empty(SectionReader.Read(ConfigurationOf.Json("""{ "OnFailure": null, "Retry": null, "Models": { "a": null, "b": {}, "c": { "Path": null, "Device": null, "Include": [], "Exclude": null } } }"""), options));
        Assert.Equal(["a", "b", "c"], options.Models.Keys.Order());
        Assert.Equal(("auto", null), (options.Models["c"].Device, options.Models["c"].Path));
        Assert.NotNull(options.Retry);
    }

    [Fact]
    public void Read_AnEmptyText_TakesBackWhatMayBeMissing()
    {
        var model = new HostedModelOptions { Manifest = "m", Rank = 3, Device = "host" };
        Assert.Empty(SectionReader.Read(ConfigurationOf.Pairs("Manifest=", "Rank=", "Device="), model));
        Assert.Equal((null, null, ""), (model.Manifest, model.Rank, model.Device));
    }

    [Fact]
    public void Read_AListTwice_DoesNotAddUp()
    {
        var model = new HostedModelOptions();
        model.Include.Add("old");
        var section = ConfigurationOf.Pairs("Include:0=a", "Include:10=c", "Include:2=b");
        _ = SectionReader.Read(section, model);
        _ = SectionReader.Read(section, model);
        Assert.Equal(["a", "b", "c"], model.Include);
    }

    [Fact]
    public void Read_ASectionOfOtherOptions_IsKnownAndItsKeysAreChecked()
    {
        var section = ConfigurationOf.Pairs("Http:FirstDelay=00:00:01", "Http:FirstDely=1", "http:MaximumRetries=x");
        Assert.Equal(["Http: there is no such key; there are MaximumConcurrentLoads, Models, OnFailure, Retry"], SectionReader.Read(section, new IlgpuLoaderOptions()));
        var options = new IlgpuLoaderOptions();
        Assert.Equal(
            ["Http:FirstDely: there is no such key; did you mean 'FirstDelay'?", "Http:MaximumRetries: 'x' is no whole number"],
            SectionReader.Read(section, options, [new KnownSection("Http", typeof(RetryOptions))]));
        Assert.Equal((TimeSpan.FromSeconds(1), null), (options.Retry.FirstDelay, options.Retry.MaximumRetries));
    }

    [Fact]
    public void Read_ATextThatIsWrongElsewhere_IsNeverShown()
    {
        // A token that lies where a section should be, or under a wrong key, is no business of a log.
        var problems = SectionReader.Read(ConfigurationOf.Pairs("Tokn=s3cret", "Retry=s3cret", "Models:a:Include=s3cret"), new IlgpuLoaderOptions());
        Assert.Equal(3, problems.Count);
        Assert.DoesNotContain("s3cret", string.Join('\n', problems), StringComparison.Ordinal);
    }
}
