using System.Collections;
using System.Text.RegularExpressions;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Where a server's configuration comes from: the file, over it the environment, over that the command line. Nothing else is looked at.</summary>
internal static partial class ServerConfiguration
{
    /// <summary>What the variables begin with; two underscores stand between the parts of a key: <c>ILGPU_LOADER_Models__llama__Path</c>.</summary>
    public const string VariablePrefix = "ILGPU_LOADER_";

    /// <summary>The variable of the token.</summary>
    public const string TokenVariable = $"{VariablePrefix}TOKEN";

    private const string Section = IlgpuLoaderOptions.SectionName;

    /// <summary>Adds all sources.</summary>
    /// <exception cref="FileNotFoundException">The configuration file is not there.</exception>
    /// <exception cref="OptionsValidationException">It is no JSON.</exception>
    public static void AddTo(ConfigurationManager configuration, ModelServerOptions options, IDictionary environment)
    {
        if (options.ConfigurationFile is { } file)
        {
            AddFile(configuration, file);
        }

        _ = configuration.AddInMemoryCollection(WithOneToken(FromEnvironment(environment)));

        var models = configuration.GetSection($"{Section}:Models").GetChildren().Select(model => model.Key).ToList();
        var flags = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, path) in PathNames.Of(options.Paths, models))
        {
            models.Add(name);
            flags[$"{Section}:Models:{name}:{nameof(HostedModelOptions.Path)}"] = path;
        }

        foreach (var model in models)
        {
            Set($"{Section}:Models:{model}:{nameof(HostedModelOptions.Device)}", options.Device);
            Set($"{Section}:Models:{model}:{nameof(HostedModelOptions.DType)}", options.DType);
            Set($"{Section}:Models:{model}:{nameof(HostedModelOptions.Watch)}", options.Watch?.ToString());
        }

        Set($"{HttpOptions.SectionName}:{nameof(HttpOptions.Urls)}", options.Urls);
        Set($"{HttpOptions.SectionName}:{nameof(HttpOptions.TokenFile)}", options.TokenFile);
        _ = configuration.AddInMemoryCollection(WithOneToken(flags));

        void Set(string key, string? value)
        {
            if (value is not null)
            {
                flags[key] = value;
            }
        }
    }

    // A token wins over a file with one that is said below it, and the other way round; both at once are for the check to refuse.
    private static Dictionary<string, string?> WithOneToken(Dictionary<string, string?> values)
    {
        const string token = $"{HttpOptions.SectionName}:{nameof(HttpOptions.Token)}", file = $"{HttpOptions.SectionName}:{nameof(HttpOptions.TokenFile)}";
        if (values.ContainsKey(token) != values.ContainsKey(file))
        {
            values[values.ContainsKey(token) ? file : token] = null;
        }

        return values;
    }

    private static void AddFile(ConfigurationManager configuration, string file)
    {
        var path = Path.GetFullPath(file);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no configuration file {Quoted.Name(file)}.", file);
        }

        try
        {
            _ = configuration.AddJsonFile(path, optional: false, reloadOnChange: false);
        }
        catch (InvalidDataException exception)
        {
            throw new OptionsValidationException(
                Section, typeof(ModelServerOptions), [$"{file} is no JSON that can be read: {Quoted.Plain(exception.GetBaseException().Message)}"]);
        }
    }

    // Kubernetes gives every pod variables of the services beside it, in the form of Docker's links; those of a service ilgpu-loader, or ilgpu-loader-gpu, begin as ours do. No key of ours has these forms.
    [GeneratedRegex(
        "^ILGPU_LOADER(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$",
        RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex OfService();

    private static Dictionary<string, string?> FromEnvironment(IDictionary environment)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (DictionaryEntry variable in environment)
        {
            if (variable is { Key: string name, Value: string value } && name.StartsWith(VariablePrefix, StringComparison.OrdinalIgnoreCase) && !OfService().IsMatch(name))
            {
                var key = string.Equals(name, TokenVariable, StringComparison.OrdinalIgnoreCase)
                    ? $"{HttpOptions.SectionName}:{nameof(HttpOptions.Token)}"
                    : $"{Section}:{name[VariablePrefix.Length..].Replace("__", ":", StringComparison.Ordinal)}";
                values[key] = value;
            }
        }

        return values;
    }
}
