using System.Text.RegularExpressions;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using Microsoft.Extensions.Configuration;

namespace IlgpuLoader.Hosting;

/// <summary>Checks the options of one model: each for itself, and whether those that are set mean something together. Nothing is opened.</summary>
internal sealed partial class ModelOptionsCheck
{
    // What a load refuses below (LoadOptions.StagingBytes), above (LoadOptions.Lanes) and above (TensorParallel).
    private const long SmallestStaging = 64 << 10;
    private const int MostLanes = 1024;
    private const int MostRanks = 1024;

    // What timers can wait.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly string _path;
    private readonly HostedModelOptions _model;
    private readonly List<string> _problems = [];

    private ModelOptionsCheck(string path, HostedModelOptions model) => (_path, _model) = (path, model);

    /// <summary>Checks a model.</summary>
    /// <param name="path">The path of its section, for messages.</param>
    /// <param name="model">Its options.</param>
    /// <param name="isNamed">Whether the host was given a device under a name.</param>
    /// <param name="lookup">Gives a variable of the environment; null for those of this process.</param>
    /// <returns>What is wrong, one sentence each, which begins with the full path of its key.</returns>
    public static IReadOnlyList<string> Run(string path, HostedModelOptions model, Func<string, bool> isNamed, Func<string, string?>? lookup = null)
    {
        var check = new ModelOptionsCheck(path, model);
        check.CheckPaths();
        check.CheckDevice(isNamed);
        check.CheckNames();
        check.CheckRank(lookup);
        check.CheckNumbers();
        check.CheckTogether();
        return check._problems;
    }

    /// <summary>A message without the name of an argument, which is nobody's key.</summary>
    public static string MessageOf(ArgumentException exception) => exception.Message.Replace($" (Parameter '{exception.ParamName}')", "", StringComparison.Ordinal);

    private void CheckPaths()
    {
        if (string.IsNullOrWhiteSpace(_model.Path))
        {
            Report(nameof(_model.Path), "is missing; it is the checkpoint: a file, a folder or an index, or its address");
        }

        var weights = _model.Weights ?? _model.Path;
        var isAddress = weights is not null && AddressScheme.Of(weights) is not null;
        if (_model.Watch && isAddress)
        {
            Report(nameof(_model.Watch), "is for local folders, and the weights have an address; ask for a reload by call");
        }

        if (_model.Stream && !isAddress)
        {
            Report(nameof(_model.Stream), "is for weights that have an address, and these are local files");
        }

        foreach (var (key, address) in HostedAddresses.Of(_model))
        {
            try
            {
                RemoteCheckpoints.ThrowIfNoAddress(address);
            }
            catch (ArgumentException exception)
            {
                Report(key, MessageOf(exception));
            }
        }

        foreach (var (key, path) in (ReadOnlySpan<(string, string?)>)
            [
                (nameof(_model.Path), _model.Path), (nameof(_model.Manifest), _model.Manifest), (nameof(_model.Weights), _model.Weights), (nameof(_model.Map), _model.Map),
            ])
        {
            if (key != nameof(_model.Path) && path is not null && string.IsNullOrWhiteSpace(path))
            {
                Report(key, "is empty; leave it out where there is none");
            }
            else if (path?.Contains('\0', StringComparison.Ordinal) is true)
            {
                Report(key, $"{Quoted.Name(path)} is no path: it has a zero character");
            }
        }
    }

    // As DeviceCatalog takes it. Whether there is such a device is seen when it is opened, which takes a GPU seconds.
    private void CheckDevice(Func<string, bool> isNamed)
    {
        var device = _model.Device;
        if (string.IsNullOrWhiteSpace(device))
        {
            Report(nameof(_model.Device), $"is empty; it is {DeviceCatalog.Auto}, {DeviceForms}");
            return;
        }

        if (isNamed(device))
        {
            return;
        }

        var ids = device.Split(DeviceGroup.Separator, StringSplitOptions.TrimEntries);
        foreach (var id in ids.Where(id => !DeviceId().IsMatch(id)))
        {
            Report(nameof(_model.Device), $"{Quoted.Name(id)} is no device; it is {DeviceCatalog.Auto}, {DeviceForms}");
        }

        if (ids.Distinct(StringComparer.Ordinal).Count() != ids.Length)
        {
            Report(nameof(_model.Device), $"{Quoted.Name(device)} has a device twice; every device of a group is named once");
        }
    }

    private void CheckNames()
    {
        if (!ModelDType.TryParse(_model.DType, out _))
        {
            Report(nameof(_model.DType), $"{Quoted.Name(_model.DType!)} is none of {ModelDType.Names}");
        }

        CheckEnum(nameof(_model.Layout), _model.Layout);
        CheckEnum(nameof(_model.Implementation), _model.Implementation);
        CheckEnum(nameof(_model.ReloadMode), _model.ReloadMode);
        CheckEnum(nameof(_model.ReadMode), _model.ReadMode);
        if (_model.OnFailure is { } onFailure)
        {
            CheckEnum(nameof(_model.OnFailure), onFailure);
        }

        foreach (var (key, names) in (ReadOnlySpan<(string, IList<string>)>)[(nameof(_model.Include), _model.Include), (nameof(_model.Exclude), _model.Exclude)])
        {
            if (names.Any(string.IsNullOrEmpty))
            {
                Report(key, "has an item that is empty, and matches no tensor");
            }
        }
    }

    private void CheckRank(Func<string, string?>? lookup)
    {
        if (_model.WorldSize is < 1 or > MostRanks)
        {
            Report(nameof(_model.WorldSize), $"{_model.WorldSize} is not between 1 and {MostRanks}");
        }
        else if (_model.Rank is { } rank && (rank < 0 || rank >= _model.WorldSize))
        {
            Report(nameof(_model.Rank), _model.WorldSize == 1 ? $"there is one rank, 0, and no rank {rank}; WorldSize is how many there are" : $"the ranks are 0 to {_model.WorldSize - 1}; there is no rank {rank}");
        }
        else
        {
            try
            {
                _ = ModelRank.Of(_model, lookup);
            }
            catch (ArgumentException exception)
            {
                Report(nameof(_model.Rank), $"is missing, and the launcher does not say it: {MessageOf(exception)}");
            }
        }
    }

    private void CheckNumbers()
    {
        if (_model.Lanes is < 1 or > MostLanes)
        {
            Report(nameof(_model.Lanes), $"{_model.Lanes} is not between 1 and {MostLanes}");
        }

        if (_model.StagingBytes < SmallestStaging)
        {
            Report(nameof(_model.StagingBytes), $"{_model.StagingBytes} bytes are less than {SmallestStaging}, a slot of the smallest size");
        }

        if (_model.WatchInterval <= TimeSpan.Zero || _model.WatchInterval > LongestWait)
        {
            Report(nameof(_model.WatchInterval), $"{_model.WatchInterval} is not above 0 and at most {LongestWait}");
        }

        if (_model.WatchDebounce < TimeSpan.Zero || _model.WatchDebounce > LongestWait)
        {
            Report(nameof(_model.WatchDebounce), $"{_model.WatchDebounce} is not between 0 and {LongestWait}");
        }

        if (_model.LeaseTimeout != Timeout.InfiniteTimeSpan && (_model.LeaseTimeout < TimeSpan.Zero || _model.LeaseTimeout > LongestWait))
        {
            Report(nameof(_model.LeaseTimeout), $"{_model.LeaseTimeout} is not between 0 and {LongestWait}, nor {Timeout.InfiniteTimeSpan}, which is for ever");
        }
    }

    // An option without an effect is a wish that is not granted: refused, as the loaders below refuse what they do not take.
    private void CheckTogether()
    {
        if (_model.Layout == HostedLayout.Checkpoint)
        {
            RefuseIf(_model.Implementation != default, nameof(_model.Implementation), "chooses a layout of the architecture", HostedLayout.Model, HostedLayout.Sharded);
            RefuseIf(_model.Map is not null, nameof(_model.Map), "changes names for a layout", HostedLayout.Model);
            RefuseIf(_model.Weights is not null, nameof(_model.Weights), "is for a layout, whose configuration is elsewhere", HostedLayout.Model, HostedLayout.Sharded);
            RefuseIf(!_model.Strict, nameof(_model.Strict), "is about the parameters of a layout", HostedLayout.Model);
        }
        else
        {
            RefuseIf(_model.Manifest is not null, nameof(_model.Manifest), "has the hashes of a checkpoint's own tensors", HostedLayout.Checkpoint);
            RefuseIf(_model.ReloadMode != default, nameof(_model.ReloadMode), "is about tensors that are replaced all at once", HostedLayout.Checkpoint);
        }

        if (_model.Layout == HostedLayout.Sharded)
        {
            RefuseIf(_model.Include.Count > 0, nameof(_model.Include), "chooses among tensors, and of what a rank has saved all is loaded", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.Exclude.Count > 0, nameof(_model.Exclude), "chooses among tensors, and of what a rank has saved all is loaded", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.Map is not null, nameof(_model.Map), "changes names, and what a rank has saved has the layout's", HostedLayout.Model);
            RefuseIf(!_model.Strict, nameof(_model.Strict), "accepts a part of a model, and what a rank has saved is all of its share", HostedLayout.Model);
            RefuseIf(_model.Variant is not null, nameof(_model.Variant), "chooses among the files of a checkpoint", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.Index is not null, nameof(_model.Index), "chooses among the files of a checkpoint", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.Root is not null, nameof(_model.Root), "chooses a part of a checkpoint", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.Lenient, nameof(_model.Lenient), "is about GGUF files", HostedLayout.Checkpoint, HostedLayout.Model);
            RefuseIf(_model.AllowUnknownGlobals, nameof(_model.AllowUnknownGlobals), "is about PyTorch files", HostedLayout.Checkpoint, HostedLayout.Model);
        }
        else
        {
            RefuseIf(!_model.Verify, nameof(_model.Verify), "is about the manifests of ranks", HostedLayout.Sharded);
        }

        if (_model is { Layout: HostedLayout.Checkpoint, Manifest: not null, WorldSize: > 1 })
        {
            Report(nameof(_model.Manifest), "has the hashes of whole tensors, and a rank of several loads slices; leave it out, or WorldSize");
        }
    }

    private void RefuseIf(bool isSet, string key, string what, params ReadOnlySpan<HostedLayout> layouts)
    {
        if (isSet)
        {
            Report(key, $"{what}; it is for Layout {string.Join(" or ", layouts.ToArray())}, and this is {_model.Layout}");
        }
    }

    private void CheckEnum<T>(string key, T value)
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
        {
            Report(key, $"'{value}' is none of {string.Join(", ", Enum.GetNames<T>())}");
        }
    }

    private void Report(string key, string problem) => _problems.Add($"{ConfigurationPath.Combine(_path, key)}: {problem}");

    private const string DeviceForms = "host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice";

    // Meta, which holds nothing, is left out: there would be nothing to lease.
    [GeneratedRegex(@"\A(?:auto|host|(?:cuda|opencl|simulator):[0-9]{1,4})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant)]
    private static partial Regex DeviceId();
}
