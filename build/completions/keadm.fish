# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_keadm_global_optspecs
    string join \n h/help V/version
end

function __fish_keadm_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_keadm_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_keadm_using_subcommand
    set -l cmd (__fish_keadm_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c keadm -n "__fish_keadm_needs_command" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_needs_command" -s V -l version -d 'Print version'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "backup" -d 'Copy what makes this machine a node to a safe place'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "ban" -d 'Shut a node out for good, or list who is'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "batch" -d 'Do the same on many machines, over ssh'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "bundle" -d 'One file with all that a machine without a network needs to become a node'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "cert" -d 'The certificate of this node'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "completion" -d 'Print what a shell needs to complete keadm\'s command lines'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "config" -d 'What an installation consists of'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "config-update" -d 'Change the configuration of EdgeCore on this machine'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "ctl" -d 'Pods and devices of this node, with or without the cloud'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "debug" -d 'Find out what is wrong with a node'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "demo" -d 'A control plane, a CloudCore and an edge node with two pods, on this machine alone'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "gettoken" -d 'Print the token that edge nodes join with'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "init" -d 'Install the cloud side, into a cluster or on this machine'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "join" -d 'Make this machine an edge node'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "man" -d 'Write the manual pages'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "manifest" -d 'Print what `init` would apply to a cluster'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "mapper" -d 'Projects for device drivers'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "reset" -d 'Undo `init` or `join` on this machine'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "rollback" -d 'Go back to a back-up'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "unban" -d 'Let a banned node in again'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "upgrade" -d 'A new version on this machine, and the old one again when it does not work'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "version" -d 'Say which version this is'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and not __fish_seen_subcommand_from cloud edge help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and not __fish_seen_subcommand_from cloud edge help" -f -a "cloud" -d 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and not __fish_seen_subcommand_from cloud edge help" -f -a "edge" -d 'EdgeCore\'s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and not __fish_seen_subcommand_from cloud edge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from cloud" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from cloud" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from cloud" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from cloud" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from cloud" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from edge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "cloud" -d 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "edge" -d 'EdgeCore\'s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand ban" -l reason -d 'Why: for those who find it in the list. The node is not told' -r
complete -c keadm -n "__fish_keadm_using_subcommand ban" -l kube-config -d 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ban" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ban" -l list -d 'List the nodes that are banned or were'
complete -c keadm -n "__fish_keadm_using_subcommand ban" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -s c -l config -d 'File that says which nodes there are and what to do with each' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -f -a "gen-config" -d 'Write ./config.yaml, to be filled in'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and not __fish_seen_subcommand_from gen-config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and __fish_seen_subcommand_from gen-config" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand batch; and __fish_seen_subcommand_from gen-config" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and __fish_seen_subcommand_from gen-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and __fish_seen_subcommand_from help" -f -a "gen-config" -d 'Write ./config.yaml, to be filled in'
complete -c keadm -n "__fish_keadm_using_subcommand batch; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and not __fish_seen_subcommand_from create show help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and not __fish_seen_subcommand_from create show help" -f -a "create" -d 'Make one'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and not __fish_seen_subcommand_from create show help" -f -a "show" -d 'Look one through, and list what is in it'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and not __fish_seen_subcommand_from create show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -l binaries -d 'Folder with `edgecore` and `keadm`, for the machines that the bundle is for' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -l image -d 'Archive of images, as `docker save` or an OCI layout. May be given again; of those called `pause` the first is for sandboxes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -l kubeedge-version -d 'Version of the binaries; without it, that of this keadm' -r
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -s o -l output-path -d 'Where the bundle is written to' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from show" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from show" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make one'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "show" -d 'Look one through, and list what is in it'
complete -c keadm -n "__fish_keadm_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and not __fish_seen_subcommand_from renew help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and not __fish_seen_subcommand_from renew help" -f -a "renew" -d 'Get this node a new certificate, because the one that it has is no good any more'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and not __fish_seen_subcommand_from renew help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -s t -l token -d 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes' -r
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -l force -d 'Also when the certificate is still good, or the cloud has another CA now: the old files are kept beside the new'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "renew" -d 'Get this node a new certificate, because the one that it has is no good any more'
complete -c keadm -n "__fish_keadm_using_subcommand cert; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand completion" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand completion" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand config; and not __fish_seen_subcommand_from images help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand config; and not __fish_seen_subcommand_from images help" -f -a "images" -d 'The images that an installation uses'
complete -c keadm -n "__fish_keadm_using_subcommand config; and not __fish_seen_subcommand_from images help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from images" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from images" -f -a "list" -d 'List them'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from images" -f -a "pull" -d 'Have the container runtime of this machine pull them'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from images" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "images" -d 'The images that an installation uses'
complete -c keadm -n "__fish_keadm_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l set -d 'Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml' -r
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l set-string -d 'As --set, and every value is a string' -r
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l set-file -d 'As --set, and every value is the text of the file that it names' -r
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l set-json -d 'As --set, and every value is JSON; or one JSON object, which is merged' -r
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l set-literal -d 'One path, and everything after `=` as it stands' -r
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -s f -l values -d 'Files of values, below every --set' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l no-restart -d 'Write the file and leave EdgeCore as it is; it takes the new values when it starts'
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand config-update" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "confirm" -d 'Agree to an upgrade that waits for it'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "describe" -d 'Say everything about pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "edit" -d 'Change a device: not here yet, it needs the API at the edge'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "exec" -d 'Run a command in a container'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "get" -d 'List pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "logs" -d 'Print what a container has written'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "restart" -d 'Stop the containers of pods, which are then started anew'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "unhold-upgrade" -d 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and not __fish_seen_subcommand_from confirm describe edit exec get logs restart unhold-upgrade help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from confirm" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from confirm" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from confirm" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -s n -l namespace -d 'Their namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -s l -l selector -d 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -l show-events -d 'Show events: they are in the cloud, `kubectl describe` shows them' -r -f -a "true\t''
false\t''"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -l chunk-size -d 'Size of the pieces of a list: everything is on this machine, there are none' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -s A -l all-namespaces -d 'Those of every namespace'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from describe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from edit" -s n -l namespace -d 'Its namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from edit" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from edit" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from edit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -s n -l namespace -d 'Its namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -s c -l container -d 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -s i -l stdin -d 'Pass on what comes on stdin'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -s t -l tty -d 'Give the command a terminal'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -s n -l namespace -d 'Their namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -s l -l selector -d 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -s o -l output -d 'How the list is printed' -r -f -a "text\t'A table'
wide\t'A table with more columns'
json\t'The objects as JSON'
yaml\t'The objects as YAML'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -s A -l all-namespaces -d 'Those of every namespace'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -s n -l namespace -d 'Its namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -s c -l container -d 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l since-second -d 'Only what is newer than this many seconds; 0: everything' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l since-time -d 'Only what is newer than this time (RFC 3339)' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l tail -d 'Only the last lines; -1: all' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l limit-bytes -d 'Only so many bytes; -1: all' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on with what is written from now on'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -s p -l previous -d 'The log of the container before this one'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l timestamps -d 'Begin each line with its time'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l insecure-skip-tls-verify-backend -d 'Do not verify the certificate of the server: it is a local one without a certificate'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from restart" -s n -l namespace -d 'Their namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from restart" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from restart" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from restart" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from unhold-upgrade" -s n -l namespace -d 'Namespace of the pod' -r
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from unhold-upgrade" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from unhold-upgrade" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from unhold-upgrade" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from unhold-upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "confirm" -d 'Agree to an upgrade that waits for it'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "describe" -d 'Say everything about pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "edit" -d 'Change a device: not here yet, it needs the API at the edge'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a command in a container'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "get" -d 'List pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "logs" -d 'Print what a container has written'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "restart" -d 'Stop the containers of pods, which are then started anew'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "unhold-upgrade" -d 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade'
complete -c keadm -n "__fish_keadm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -f -a "check" -d 'Say whether this machine has what an edge node needs'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -f -a "collect" -d 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -f -a "diagnose" -d 'Say why a node, a pod or an installation does not work'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -f -a "get" -d 'List what is in the node\'s store, whether EdgeCore runs or not'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check collect diagnose get help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s d -l domain -d 'Name that is looked up; without it, the host of the cloud where it has a name' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s D -l dns-ip -d 'DNS server that is asked; without it, the machine\'s own way' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s i -l ip -d 'Address that must answer a connection, with a port (host:port) or to port 80; stock sends a ping' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s s -l cloud-hub-server -d 'Where the cloud gives out certificates; without it, what the configuration says' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -s o -l output-path -d 'Folder that the file is written to' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -s l -l log-path -d 'Folder with the logs' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -s d -l detail -d 'Say more: everything that is collected is said anyway'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from collect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from diagnose" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from diagnose" -f -a "node" -d 'This node'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from diagnose" -f -a "pod" -d 'A pod of this node'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from diagnose" -f -a "install" -d 'Whether this machine can become a node: as `debug check all`'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from diagnose" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s n -l namespace -d 'Their namespace' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s l -l selector -d 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s o -l output -d 'How the list is printed. Values of secrets are not shown' -r -f -a "text\t'A table'
wide\t'A table with more columns'
json\t'The objects as JSON'
yaml\t'The objects as YAML'"
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s p -l edgedb-path -d 'The node\'s store' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s A -l all-namespaces -d 'Those of every namespace'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say whether this machine has what an edge node needs'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "collect" -d 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "diagnose" -d 'Say why a node, a pod or an installation does not work'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "get" -d 'List what is in the node\'s store, whether EdgeCore runs or not'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -l state -d 'Folder that holds everything of the demo' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -f -a "up" -d 'Start it, or what is missing of it'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -f -a "down" -d 'Remove every trace of it'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -f -a "status" -d 'Say what of it is running'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and not __fish_seen_subcommand_from up down status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l bin-dir -d 'Folder with the `cloudcore`, `edgecore` and `virtual-mapper` binaries; without it, the folder of this keadm' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l app -d 'The statically linked `demo-app`, of which the images are made' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l port-offset -d 'Shift every port by this much, for a second demo or when a port is taken' -r
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l kubeconfig -d 'Use this cluster in place of the embedded control plane' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l state -d 'Folder that holds everything of the demo' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l no-pods -d 'Start everything but no pods, no mapper and no device'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -l edge-only -d 'Start the edge side alone, to see what a node does while it cannot reach the cloud'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from up" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from down" -l state -d 'Folder that holds everything of the demo' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from down" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from status" -l state -d 'Folder that holds everything of the demo' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from help" -f -a "up" -d 'Start it, or what is missing of it'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from help" -f -a "down" -d 'Remove every trace of it'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say what of it is running'
complete -c keadm -n "__fish_keadm_using_subcommand demo; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -l kube-config -d 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l advertise-address -d 'Addresses under which edge nodes reach CloudCore. With --embedded: found out from the machine' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l set -d 'Change a value of the Helm chart, or with --embedded a key of cloudcore.yaml: path=value[,path=value...]' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l bin-dir -d 'Folder with the `cloudcore` binary, with --embedded; without it, the folder of this keadm' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -l kube-config -d 'Kubeconfig of the cluster. Without it: /root/.kube/config' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -l kubeedge-version -d 'Version of the image; without it, that of this keadm' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l image-repository -d 'Where the image is, in place of the registry and folder of the chart' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l profile -d 'File of values, over the chart\'s; or version=VERSION' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l values -d 'Files of values, over those of the profile' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -s f -l manifests -l files -d 'Files of further objects to apply' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -l external-helm-root -d 'Folder of another chart. Not taken: keadm renders its own' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand init" -l embedded -d 'Run a Kubernetes control plane inside CloudCore on this machine: no cluster is needed'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l force -d 'Take over fields that somebody else has set. With --embedded: stop a CloudCore that is running, and start it anew'
complete -c keadm -n "__fish_keadm_using_subcommand init" -s d -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l skip-preflight-checks -d 'Do not look whether the cluster is fit for it'
complete -c keadm -n "__fish_keadm_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand join" -s e -l cloudcore-ipport -d 'Where CloudCore takes the channels of edge nodes' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s i -l edgenode-name -d 'Name of the node; without it, the name of this machine' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s t -l token -d 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s s -l certport -d 'Port on which CloudCore gives out certificates' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s p -l remote-runtime-endpoint -d 'Socket of the container runtime' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l cgroupdriver -d 'Who makes the control groups of pods: must be what the container runtime has. Without it, what the runtime says' -r -f -a "cgroupfs\t'The runtime writes to the file system itself'
systemd\t'systemd makes them'"
complete -c keadm -n "__fish_keadm_using_subcommand join" -s l -l labels -d 'Labels that the node registers with' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l hub-protocol -d 'How the node talks to CloudCore' -r -f -a "websocket\t'TLS over TCP'
quic\t'UDP'"
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set -d 'Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml. May be given again' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set-string -d 'As --set, and every value is a string' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set-file -d 'As --set, and every value is the text of the file that it names' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set-json -d 'As --set, and every value is JSON; or one JSON object, which is merged' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set-literal -d 'One path, and everything after `=` as it stands' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s f -l values -d 'Files of values, below every --set; later ones over earlier ones' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l bin-dir -d 'Folder with the `edgecore` binary; without it, the folder of this keadm' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l bundle -d 'File with the binaries and images (`keadm bundle`): nothing else is needed but the cloud. The binaries go to /usr/local/bin, images that the container runtime lacks are imported' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand join" -l kubeedge-version -d 'Version to install: it is that of the binary in --bin-dir or --bundle' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l image-repository -d 'Where images are pulled from: none is' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l certPath -d 'Folder of the certificates: `--set modules.edgeHub.tlsCertFile=` says where they are' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l tarballpath -d 'Folder for what is downloaded: nothing is' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l with-mqtt -d 'Install an MQTT broker: EdgeCore has one, with `--set modules.eventBus.mqttMode=0`' -r -f -a "true\t''
false\t''"
complete -c keadm -n "__fish_keadm_using_subcommand join" -s d -l dry-run -d 'Say what would be done, and change nothing. The cloud is not asked'
complete -c keadm -n "__fish_keadm_using_subcommand join" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand man" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand man" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l advertise-address -d 'Addresses under which edge nodes reach CloudCore' -r
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l set -d 'Change a value of the Helm chart: path=value[,path=value...]' -r
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l kube-config -d 'Taken as in KubeEdge and without effect: no cluster is asked' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l kubeedge-version -d 'Version of the image; without it, that of this keadm' -r
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l image-repository -d 'Where the image is, in place of the registry and folder of the chart' -r
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l profile -d 'File of values, over the chart\'s; or version=VERSION' -r
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l values -d 'Files of values, over those of the profile' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -s f -l manifests -l files -d 'Files of further objects to apply' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l external-helm-root -d 'Folder of another chart. Not taken: keadm renders its own' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l skip-crds -d 'Leave out the definitions of custom resources'
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -l skip-preflight-checks -d 'Taken as in KubeEdge and without effect: no cluster is asked'
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -s d -l dry-run -d 'Taken as in KubeEdge and without effect: nothing is changed anyway'
complete -c keadm -n "__fish_keadm_using_subcommand manifest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and not __fish_seen_subcommand_from new help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and not __fish_seen_subcommand_from new help" -f -a "new" -d 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and not __fish_seen_subcommand_from new help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and __fish_seen_subcommand_from new" -l output -d 'Folder to write it to; NAME-mapper without it' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and __fish_seen_subcommand_from new" -l framework -d 'Folder of mapper-framework in a checkout, to build with in place of the repository' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and __fish_seen_subcommand_from help" -f -a "new" -d 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once'
complete -c keadm -n "__fish_keadm_using_subcommand mapper; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l remote-runtime-endpoint -d 'Socket of the container runtime. Without it: the one in edgecore.yaml' -r
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l kube-config -d 'Kubeconfig of the cluster that CloudCore was installed into. Without it: /root/.kube/config, unless CloudCore is on this machine' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l force -d 'Do not ask'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -s d -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and not __fish_seen_subcommand_from cloud edge help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and not __fish_seen_subcommand_from cloud edge help" -f -a "cloud" -d 'CloudCore: on this machine to a back-up, in a cluster to what was installed before'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and not __fish_seen_subcommand_from cloud edge help" -f -a "edge" -d 'EdgeCore on this machine, to a back-up'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and not __fish_seen_subcommand_from cloud edge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l historical-version -d 'The back-up to go back to, on this machine; without it, the newest' -r
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l kube-config -d 'Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l database -d 'Put the database of the back-up back, too: what the control plane has learnt since is kept beside the back-up, and gone from the API'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from cloud" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l historical-version -d 'The back-up to go back to; without it, the newest' -r
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from edge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from help" -f -a "cloud" -d 'CloudCore: on this machine to a back-up, in a cluster to what was installed before'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from help" -f -a "edge" -d 'EdgeCore on this machine, to a back-up'
complete -c keadm -n "__fish_keadm_using_subcommand rollback; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand unban" -l kube-config -d 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand unban" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand unban" -l trust-certificates -d 'Let it in with the certificate that it has, because it was banned by mistake. Without this it has to join anew'
complete -c keadm -n "__fish_keadm_using_subcommand unban" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand unban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and not __fish_seen_subcommand_from cloud edge help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and not __fish_seen_subcommand_from cloud edge help" -f -a "cloud" -d 'CloudCore, in a cluster or on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and not __fish_seen_subcommand_from cloud edge help" -f -a "edge" -d 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and not __fish_seen_subcommand_from cloud edge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l bin-dir -d 'Folder with the new `cloudcore` binary, for a CloudCore on this machine; without it, the folder of this keadm' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l advertise-address -d 'Addresses under which edge nodes reach CloudCore' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l set -d 'Change a value of the Helm chart: path=value[,path=value...]' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l kube-config -d 'Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l kubeedge-version -d 'Version of the image; without it, that of this keadm' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l image-repository -d 'Where the image is, in place of the registry and folder of the chart' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l profile -d 'File of values, over the chart\'s; or version=VERSION' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l values -d 'Files of values, over those of the profile' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -s f -l manifests -l files -d 'Files of further objects to apply' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l external-helm-root -d 'Folder of another chart. Not taken: keadm renders its own' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l force -d 'Do not ask, and also when the version is the same. In a cluster: take over fields that somebody else has set'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -s d -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l print-final-values -d 'Print the values that the new version is installed with'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -l reuse-values -d 'Keep the values of the last time: they are kept in any case'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from cloud" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l bin-dir -d 'Folder with the new `edgecore` binary; without it, the folder of this keadm' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l bundle -d 'File with the new binary (`keadm bundle`)' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l toVersion -d 'The version that the new binary must have; without it, whichever it has' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l pre-run -d 'Script that is run first' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l post-run -d 'Script that is run last' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l config -d 'EdgeCore\'s configuration file' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l image -d 'Image with the new version: nothing is pulled' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l image-digest -d 'Digest of that image' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l upgradeID -d 'Id of the task (stock before 1.21); it keeps keadm from asking' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l historyID -d 'Id of the task\'s history' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l fromVersion -d 'The version before: it is found out' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l type -d 'Kind of the task' -r
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l force -d 'Do not ask, and also when the version is the same'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l dry-run -d 'Say what would be done, and change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -l disable-backup -d 'Make no back-up: there is always one, or there would be no way back'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from edge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from help" -f -a "cloud" -d 'CloudCore, in a cluster or on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from help" -f -a "edge" -d 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails'
complete -c keadm -n "__fish_keadm_using_subcommand upgrade; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand version" -l output -d 'How it is said what was done or found' -r -f -a "text\t'For people'
json\t'One JSON document on stdout; progress goes to stderr'
yaml\t'One YAML document on stdout; progress goes to stderr'"
complete -c keadm -n "__fish_keadm_using_subcommand version" -l dry-run -d 'Accepted: this command changes nothing'
complete -c keadm -n "__fish_keadm_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "backup" -d 'Copy what makes this machine a node to a safe place'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "ban" -d 'Shut a node out for good, or list who is'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "batch" -d 'Do the same on many machines, over ssh'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "bundle" -d 'One file with all that a machine without a network needs to become a node'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "cert" -d 'The certificate of this node'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "completion" -d 'Print what a shell needs to complete keadm\'s command lines'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "config" -d 'What an installation consists of'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "config-update" -d 'Change the configuration of EdgeCore on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "ctl" -d 'Pods and devices of this node, with or without the cloud'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "debug" -d 'Find out what is wrong with a node'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "demo" -d 'A control plane, a CloudCore and an edge node with two pods, on this machine alone'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "gettoken" -d 'Print the token that edge nodes join with'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "init" -d 'Install the cloud side, into a cluster or on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "join" -d 'Make this machine an edge node'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "man" -d 'Write the manual pages'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "manifest" -d 'Print what `init` would apply to a cluster'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "mapper" -d 'Projects for device drivers'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "reset" -d 'Undo `init` or `join` on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "rollback" -d 'Go back to a back-up'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "unban" -d 'Let a banned node in again'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "upgrade" -d 'A new version on this machine, and the old one again when it does not work'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "version" -d 'Say which version this is'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from backup ban batch bundle cert completion config config-update ctl debug demo gettoken init join man manifest mapper reset rollback unban upgrade version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "cloud" -d 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "edge" -d 'EdgeCore\'s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from batch" -f -a "gen-config" -d 'Write ./config.yaml, to be filled in'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "create" -d 'Make one'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "show" -d 'Look one through, and list what is in it'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from cert" -f -a "renew" -d 'Get this node a new certificate, because the one that it has is no good any more'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "images" -d 'The images that an installation uses'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "confirm" -d 'Agree to an upgrade that waits for it'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "describe" -d 'Say everything about pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "edit" -d 'Change a device: not here yet, it needs the API at the edge'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "exec" -d 'Run a command in a container'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "get" -d 'List pods or devices'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "logs" -d 'Print what a container has written'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "restart" -d 'Stop the containers of pods, which are then started anew'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "unhold-upgrade" -d 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from debug" -f -a "check" -d 'Say whether this machine has what an edge node needs'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from debug" -f -a "collect" -d 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from debug" -f -a "diagnose" -d 'Say why a node, a pod or an installation does not work'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from debug" -f -a "get" -d 'List what is in the node\'s store, whether EdgeCore runs or not'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from demo" -f -a "up" -d 'Start it, or what is missing of it'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from demo" -f -a "down" -d 'Remove every trace of it'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from demo" -f -a "status" -d 'Say what of it is running'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from mapper" -f -a "new" -d 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from rollback" -f -a "cloud" -d 'CloudCore: on this machine to a back-up, in a cluster to what was installed before'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from rollback" -f -a "edge" -d 'EdgeCore on this machine, to a back-up'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from upgrade" -f -a "cloud" -d 'CloudCore, in a cluster or on this machine'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from upgrade" -f -a "edge" -d 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails'
